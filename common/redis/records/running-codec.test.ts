import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDroplet, encodeDesired, encodeExit, encodeInstance } from './record-codec.ts';
import { decodeRunning } from './running-codec.ts';

const id = fc.oneof(
  fc.constantFrom('a b', '%', 'last', 'first', 'on', 'since', '{x}', 'STARTED', '1 2 on 3', '日本'),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text)),
);
const time = fc.integer({ min: 0, max: 4_102_444_800_000 });
const instance = fc.record(
  {
    guid: fc.uuid(),
    index: fc.integer({ min: 0, max: 65_535 }),
    version: id,
    state: fc.oneof(fc.constantFrom('STARTING', 'RUNNING', 'CRASHED'), id),
    stateTimestampS: fc.double({ min: 0, max: 4e9, noNaN: true }).map(Math.abs),
    dea: id,
    firstListedMs: time,
    lastListedMs: time,
  },
  { requiredKeys: ['guid', 'index', 'version', 'state', 'stateTimestampS', 'dea', 'firstListedMs'] },
);
const desired = fc.record({
  state: fc.constantFrom('STARTED' as const, 'STOPPED' as const),
  packageState: fc.constantFrom('STAGED' as const, 'PENDING' as const, 'FAILED' as const),
  instances: fc.nat(),
  version: id,
  memoryMb: fc.nat(),
  updatedAtS: fc.nat(),
});
/** What a record has besides. */
const OTHER = {
  rev: '7',
  seen: '1000',
  listed: '4000',
  trace: '2000 00-trace',
  'fence:dea-7': '2500',
  'slot:0': '{"index":0,"version":"v1","crashes":1,"flapping":false}',
};

test('the values of a record without an exit tell the same as the whole record', () => {
  fc.assert(
    fc.property(
      fc.option(desired),
      fc.array(instance, { maxLength: 4 }),
      fc.subarray(Object.entries(OTHER).filter(([field]) => field !== 'trace')),
      (wanted, instances, other) => {
        const fields: [string, string][] = [
          ...other,
          ...instances.map((one): [string, string] => [`instance:${one.guid}`, encodeInstance(one)]),
          ...(wanted === null ? [] : [['desired', encodeDesired(wanted)] as [string, string]]),
        ];
        const running = decodeRunning('d', fields.map(([, value]) => value).join('\n'));
        const whole = decodeDroplet('d', fields.flat()) ?? { desired: undefined, instances: [] };
        expect(running?.desired?.instances).toBe(whole.desired?.instances);
        expect(running?.instances).toEqual(
          whole.instances.map(({ stateTimestampS: _, ...kept }) => ({ ...kept, guid: '' })),
        );
      },
    ),
  );
});

test.each([
  ['an exit', encodeExit({ instance: 'i', index: 0, version: 'v', reason: 'CRASHED', atMs: 5, n: 1 })],
  ['a trace', OTHER.trace],
  ['an edited desired state', 'STARTED many STAGED version v 256M updated 5'],
  ['an edited instance', 'x RUNNING on d version v since 5 first 6'],
  ['an instance whose time is no number', '0 RUNNING on d version v since 5 first soon'],
  ['an instance without a DEA', '0 RUNNING version v since 5 first 6'],
  ['anything else', 'edited'],
])('the whole record is needed for %s', (_name, value) => {
  expect(decodeRunning('d', `7\n${value}\n1000`)).toBeUndefined();
});
