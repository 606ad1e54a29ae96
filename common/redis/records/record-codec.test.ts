import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Desired, Droplet, Exit, Instance, Outcome, PendingStop, Slot } from '../../model/droplet.ts';
import {
  decodeDesired,
  decodeDroplet,
  decodeExit,
  decodeInstance,
  encodeDesired,
  encodeExit,
  encodeHeartbeatEntry,
  encodeInstance,
} from './record-codec.ts';
import { RecordError } from './record-error.ts';

const GUID = 'a3c1f0de-8b1e-4f29-9a55-0c2a7f4f8d11';

/** Ids that messages may contain: not empty, no control characters, no half surrogate pairs; difficult ones often. */
const id = fc.oneof(
  fc.uuid(),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'a b',
    ' ',
    '100%',
    '%41',
    '%',
    'ünï/cødé',
    '日本',
    'a:b',
    '{x}',
    '🙂',
  ),
  fc.constantFrom('last', 'first', 'on', 'version', 'since', 'n', 'crashed', 'at', '-', 'updated', 'x'),
  fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text)),
);
const index = fc.integer({ min: 0, max: 65_535 });
const timeMs = fc.integer({ min: 0, max: 4_102_444_800_000 });
const timeS = fc.oneof(
  fc.integer({ min: 0, max: 4_102_444_800 }),
  fc.double({ min: 0, max: 4e9, noNaN: true }).map((time) => (Object.is(time, -0) ? 0 : time)),
);

const desired: fc.Arbitrary<Desired> = fc.record({
  state: fc.constantFrom('STARTED', 'STOPPED'),
  packageState: fc.constantFrom('STAGED', 'PENDING', 'FAILED'),
  instances: fc.nat(),
  version: id,
  memoryMb: fc.nat(),
  updatedAtS: timeS,
});
const instance: fc.Arbitrary<Instance> = fc.record(
  {
    guid: id,
    index,
    version: id,
    state: fc.oneof(fc.constantFrom('STARTING', 'RUNNING', 'CRASHED', 'EVACUATING'), id),
    stateTimestampS: timeS,
    dea: id,
    firstListedMs: timeMs,
    lastListedMs: timeMs,
  },
  { requiredKeys: ['guid', 'index', 'version', 'state', 'stateTimestampS', 'dea', 'firstListedMs'] },
);
const exit: fc.Arbitrary<Exit> = fc.record(
  {
    instance: id,
    index,
    version: id,
    reason: fc.constantFrom('CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'),
    atMs: timeMs,
    n: fc.nat(),
    crashTimestampS: timeS,
    status: fc.integer(),
    description: fc.string({ unit: 'grapheme', minLength: 1 }),
  },
  { requiredKeys: ['instance', 'index', 'version', 'reason', 'atMs', 'n'] },
);

describe('encoded values', () => {
  test('a desired state is decoded to what was encoded', () => {
    fc.assert(
      fc.property(desired, (d) => {
        expect(decodeDesired(encodeDesired(d))).toEqual(d);
      }),
    );
  });

  test('an instance is decoded to what was encoded', () => {
    fc.assert(
      fc.property(instance, (i) => {
        expect(decodeInstance(i.guid, encodeInstance(i))).toEqual(i);
      }),
    );
  });

  test('an exit is decoded to what was encoded', () => {
    fc.assert(
      fc.property(exit, (e) => {
        expect(decodeExit(e.instance, encodeExit(e))).toEqual(e);
      }),
    );
  });

  test('are readable', () => {
    const d: Desired = {
      state: 'STARTED',
      packageState: 'STAGED',
      instances: 3,
      version: 'v 1',
      memoryMb: 256,
      updatedAtS: 1398000000,
    };
    expect(encodeDesired(d)).toBe('STARTED 3x STAGED version v%201 256M updated 1398000000');
    const i = {
      guid: 'g',
      index: 2,
      state: 'RUNNING',
      dea: 'dea-7',
      version: 'v1',
      stateTimestampS: 1398000000.5,
    };
    expect(encodeHeartbeatEntry(i, i.dea)).toBe('2 RUNNING on dea-7 version v1 since 1398000000.5');
    expect(encodeInstance({ ...i, firstListedMs: 17, contestedMs: 19, lastListedMs: 18 })).toBe(
      '2 RUNNING on dea-7 version v1 since 1398000000.5 first 17 contested 19 last 18',
    );
    expect(encodeInstance({ ...i, firstListedMs: 17, lastListedMs: 18 })).toBe(
      '2 RUNNING on dea-7 version v1 since 1398000000.5 first 17 last 18',
    );
    const e: Exit = { instance: 'g', index: 2, version: 'v1', reason: 'STOPPED', atMs: 17, n: 4 };
    expect(encodeExit(e)).toBe('2 STOPPED version v1 at 17 crashed - n 4');
  });

  test('an ordinary instance is short, because there are millions of them', () => {
    const text = encodeInstance({
      guid: GUID,
      index: 12,
      state: 'RUNNING',
      dea: GUID,
      version: GUID,
      stateTimestampS: 1_398_000_000.123,
      firstListedMs: 1_700_000_000_000,
    });
    expect(Buffer.byteLength(text)).toBeLessThan(150);
  });
});

describe('a droplet', () => {
  const reply = (fields: Record<string, string>) => Object.entries(fields).flat();
  const WHOLE = {
    rev: '7',
    seen: '1000',
    desired: 'STARTED 3x STAGED version v1 256M updated 1398000000',
    gone: '5000',
    listed: '4000',
    updated: '2000',
    exits: '3',
    handled: '2',
    handled_update: '2000',
    'fence:dea-7': '2500',
    'instance:i1': '0 RUNNING on dea-7 version v1 since 1398000000 first 1500',
    'exit:i0': '0 CRASHED version v1 at 1400 crashed 1398000001 n 3',
    'slot:0': '{"index":0,"version":"v1","crashes":1,"flapping":false}',
    'stop:i9': '{"instance":"i9","id":"d1","reason":"duplicate","decidedMs":9}',
    'outcome:d1': '{"id":"d1","outcome":"dropped","atMs":10,"why":"live"}',
  };

  test.each([
    ['2000 00-trace', { atMs: 2000, traceparent: '00-trace' }],
    ['2000', undefined],
    ['soon 00-trace', undefined],
    ['', undefined],
  ])('has the trace of the heartbeat that changed it: %j', (trace, expected) => {
    expect(decodeDroplet('d', reply({ ...WHOLE, trace }))?.heartbeatTrace).toEqual(expected);
  });

  test('is decoded from its hash', () => {
    const slot: Slot = { index: 0, version: 'v1', crashes: 1, flapping: false };
    const stop: PendingStop = { instance: 'i9', id: 'd1', reason: 'duplicate', decidedMs: 9 };
    const outcome: Outcome = { id: 'd1', outcome: 'dropped', atMs: 10, why: 'live' };
    expect(decodeDroplet('app', reply(WHOLE))).toEqual({
      id: 'app',
      rev: 7,
      firstSeenMs: 1000,
      desired: decodeDesired(WHOLE.desired),
      goneMs: 5000,
      listedMs: 4000,
      updatedMs: 2000,
      handledExits: 2,
      handledUpdateMs: 2000,
      instances: [decodeInstance('i1', WHOLE['instance:i1'])],
      exits: [decodeExit('i0', WHOLE['exit:i0'])],
      slots: new Map([[0, slot]]),
      stops: new Map([['i9', stop]]),
      outcomes: new Map([['d1', outcome]]),
    } satisfies Droplet);
  });

  test('without a hash is undefined', () => {
    expect(decodeDroplet('app', [])).toBeUndefined();
  });

  test('may have ids with any characters', () => {
    fc.assert(
      fc.property(id, instance, exit, (of, i, e) => {
        const stop: PendingStop = { instance: of, id: of, reason: 'stopped', decidedMs: 1 };
        const outcome: Outcome = { id: of, outcome: 'sent', atMs: 1 };
        const droplet = decodeDroplet(
          of,
          [
            ['rev', '1'],
            [`instance:${i.guid}`, encodeInstance(i)],
            [`exit:${e.instance}`, encodeExit(e)],
            [`fence:${of}`, '1'],
            [`stop:${of}`, JSON.stringify(stop)],
            [`outcome:${of}`, JSON.stringify(outcome)],
          ].flat(),
        );
        expect(droplet?.instances).toEqual([i]);
        expect(droplet?.exits).toEqual([e]);
        expect(droplet?.stops).toEqual(new Map([[of, stop]]));
        expect(droplet?.outcomes).toEqual(new Map([[of, outcome]]));
      }),
    );
  });

  /** Values that an edit with redis-cli may leave behind. */
  test.each<[field: string, value: string]>([
    ['rev', 'seven'],
    ['rev', ''],
    ['seen', '12x'],
    ['gone', 'null'],
    ['listed', 'NaN'],
    ['updated', 'Infinity'],
    ['handled', '-'],
    ['handled_update', ' '],
    ['desired', ''],
    ['desired', 'RUNNING 3x STAGED version v1 256M updated 1398000000'],
    ['desired', 'STARTED 3x STAGE version v1 256M updated 1398000000'],
    ['desired', 'STARTED threex STAGED version v1 256M updated 1398000000'],
    ['desired', 'STARTED 33 STAGED version v1 256M updated 1398000000'],
    ['desired', 'STARTED 3x STAGED version v1 256 updated 1398000000'],
    ['desired', 'STARTED 3x STAGED version v1 256M'],
    ['desired', 'STARTED 3x STAGED version v1 256M updated 1 2'],
    ['desired', 'STARTED -3x STAGED version v1 256M updated 1398000000'],
    ['desired', 'STARTED 3x STAGED version %E0%A4%A 256M updated 1398000000'],
    ['instance:i1', ''],
    ['instance:i1', 'x RUNNING on d version v since 1 first 2'],
    ['instance:i1', '0 RUNNING at d version v since 1 first 2'],
    ['instance:i1', '0 RUNNING on d version v since 1'],
    ['instance:i1', '0 RUNNING on d version v since 1 first 2 last'],
    ['instance:i1', '0 RUNNING on d version v since 1 first 2 last x'],
    ['instance:i1', '0 RUNNING on d version v since 1 first 2 least 3'],
    ['instance:i1', '0 RUNNING on d version %zz since 1 first 2'],
    ['instance:i1', '0  RUNNING on d version v since 1 first 2'],
    ['exit:i1', '0 EXPLODED version v at 1 crashed - n 1'],
    ['exit:i1', '0 CRASHED version v at 1 crashed - n'],
    ['exit:i1', '0 CRASHED version v at 1 crashed soon n 1'],
    ['exit:i1', '0 CRASHED version v since 1 crashed - n 1'],
    ['exit:i1', 'CRASHED'],
    ['slot:0', 'no JSON'],
    ['slot:0', '{}'],
    ['slot:0', '{"index":0,"version":"v1","crashes":"1","flapping":false}'],
    ['slot:0', '{"index":1,"version":"v1","crashes":1,"flapping":false}'],
    ['slot:0', '{"index":0,"version":"v1","crashes":1,"flapping":false,"start":{"id":"x"}}'],
    ['stop:i1', '[]'],
    ['stop:i1', '{"instance":"i2","id":"d","reason":"duplicate","decidedMs":1}'],
    ['outcome:d1', '{"id":"d1","outcome":"lost","atMs":1}'],
    ['outcome:d1', '{"id":"d2","outcome":"sent","atMs":1}'],
    ['color', 'red'],
    ['color:0', 'red'],
  ])('an error names a field in another format: %s = %j', (field, value) => {
    const read = () => decodeDroplet('app', reply({ ...WHOLE, [field]: value }));
    expect(read).toThrow(RecordError);
    expect(read).toThrow(`field ${field}:`);
  });

  test('a long bad value is not repeated in full', () => {
    const error = (() => {
      try {
        return decodeDroplet('app', ['desired', 'x'.repeat(10_000)]);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(RecordError);
    expect((error as RecordError).message.length).toBeLessThan(310);
    expect((error as RecordError).field).toBe('desired');
  });
});
