import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs } from '../../testing/property-seed.ts';
import {
  type Exited,
  type HeartbeatEntry,
  parseDropletRequest,
  parseExited,
  parseHealthRequest,
  parseHeartbeat,
  parseShutdown,
  parseStatusRequest,
  parseUpdated,
} from './incoming.ts';
import { peekDeaId } from './peek-dea-id.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

/** An entry as a DEA writes it. */
const RAW = {
  cc_partition: 'default',
  droplet: 'd-1',
  version: 'v-1',
  instance: 'i-1',
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_398_000_000.25,
};
const ENTRY: HeartbeatEntry = {
  droplet: 'd-1',
  version: 'v-1',
  instance: 'i-1',
  index: 0,
  state: 'RUNNING',
  stateTimestampS: 1_398_000_000.25,
};

const heartbeat = (...droplets: unknown[]) => parseHeartbeat(json({ droplets, dea: 'dea-1' }), 'default');
const parsed = (entries: HeartbeatEntry[], rejected: { reason: string; count: number }[] = []) => ({
  ok: { dea: 'dea-1', entries, rejected },
});

/** 256 bytes in 128 characters. */
const LONGEST = 'é'.repeat(128);

const GOOD_IDS = [
  '__proto__',
  'constructor',
  'toString',
  ' ',
  'a"b\\c',
  '日本',
  '😀',
  LONGEST,
  'x'.repeat(256),
];
const BAD_IDS = [
  ['empty', ''],
  ['too long', 'x'.repeat(257)],
  ['too long in bytes', `${LONGEST}x`],
  ['a control character', 'a\nb'],
  ['DEL', 'a\u007fb'],
  ['a C1 control character', 'a\u0085b'],
  ['half of a surrogate pair', 'a\ud83db'],
  ['null', null],
  ['an object', {}],
  ['a list', ['d-1']],
  ['a fraction', 1.5],
  ['a truth value', true],
] as const;

describe('a heartbeat', () => {
  it('lists instances', () => {
    const other = { ...RAW, instance: 'i-2', index: 65_535, state: 'CRASHED', state_timestamp: 0 };
    expect(heartbeat(RAW, other)).toEqual(
      parsed([ENTRY, { ...ENTRY, instance: 'i-2', index: 65_535, state: 'CRASHED', stateTimestampS: 0 }]),
    );
  });

  it('may be empty', () => {
    expect(heartbeat()).toEqual(parsed([]));
  });

  it('may have unknown fields and states', () => {
    const message = { droplets: [{ ...RAW, state: 'RESUMING', more: 1 }], dea: 'dea-1', more: {} };
    expect(parseHeartbeat(json(message), 'default')).toEqual(parsed([{ ...ENTRY, state: 'RESUMING' }]));
  });

  it('leaves out the entries of another partition without counting them as rejected', () => {
    expect(heartbeat({ ...RAW, cc_partition: 'other' }, RAW)).toEqual(parsed([ENTRY]));
    // Beside an invalid entry each entry is checked separately.
    expect(heartbeat({ ...RAW, cc_partition: 'other' }, RAW, 5)).toEqual(
      parsed([ENTRY], [{ reason: 'entry', count: 1 }]),
    );
  });

  it.each([undefined, null])('includes an entry whose partition is %s', (cc_partition) => {
    expect(heartbeat({ ...RAW, cc_partition })).toEqual(parsed([ENTRY]));
  });

  it.each([0, 42, -1, Number.MAX_SAFE_INTEGER])('converts the droplet id %d to text', (droplet) => {
    expect(heartbeat({ ...RAW, droplet })).toEqual(parsed([{ ...ENTRY, droplet: String(droplet) }]));
  });

  describe.each(['droplet', 'version', 'instance', 'state'] as const)('%s', (field) => {
    it.each(GOOD_IDS)('may be %s', (id) => {
      expect(heartbeat({ ...RAW, [field]: id })).toEqual(parsed([{ ...ENTRY, [field]: id }]));
    });

    it.each(BAD_IDS)('may not be: %s', (_, id) => {
      expect(heartbeat(RAW, { ...RAW, [field]: id }, { ...RAW, [field]: undefined })).toEqual(
        parsed([ENTRY], [{ reason: field, count: 2 }]),
      );
    });
  });

  it.each<[string, unknown]>([
    ['index', -1],
    ['index', 65_536],
    ['index', 0.5],
    ['index', '0'],
    ['index', null],
    ['state_timestamp', '1398000000'],
    ['state_timestamp', null],
    ['state_timestamp', -1],
    ['cc_partition', 5],
    ['droplet', 2 ** 53],
    ['version', 5],
  ])('rejects only the entry with the %s %j', (field, value) => {
    expect(heartbeat({ ...RAW, [field]: value }, RAW)).toEqual(
      parsed([ENTRY], [{ reason: field, count: 1 }]),
    );
  });

  it('rejects an infinite state_timestamp', () => {
    const text = JSON.stringify({ droplets: [RAW], dea: 'dea-1' }).replace('1398000000.25', '1e999');
    expect(parseHeartbeat(utf8(text), 'default')).toEqual(
      parsed([], [{ reason: 'state_timestamp', count: 1 }]),
    );
  });

  it.each([null, 5, 'x', [], [RAW]])('rejects only the entry %j', (entry) => {
    expect(heartbeat(entry, RAW)).toEqual(parsed([ENTRY], [{ reason: 'entry', count: 1 }]));
  });

  it('may have 10,000 entries but not more', () => {
    const most = Array.from({ length: 10_000 }, () => RAW);
    expect(heartbeat(...most)).toEqual(parsed(most.map(() => ENTRY)));
    expect(heartbeat(...most, RAW)).toEqual({ reject: 'too many droplets' });
  });

  it.each<[string, Uint8Array]>([
    ['json', utf8('')],
    ['json', utf8('{"droplets":[')],
    ['no object', utf8('null')],
    ['no object', utf8('[]')],
    ['encoding', Uint8Array.of(0x22, 0xff, 0x22)],
    ['encoding', Uint8Array.of(...utf8('{"dea":"'), 0xc3, ...utf8('"}'))],
    ['dea', json({ droplets: [RAW] })],
    ['dea', json({ droplets: [RAW], dea: '' })],
    ['dea', json({ droplets: [RAW], dea: 5 })],
    ['droplets', json({ dea: 'dea-1' })],
    ['droplets', json({ dea: 'dea-1', droplets: {} })],
  ])('is rejected for its %s', (reject, bytes) => {
    expect(parseHeartbeat(bytes, 'default')).toEqual({ reject });
  });

  it('gives the same entries whether it is checked as a whole or entry by entry', () => {
    const id = fc.string({ minLength: 1, unit: 'grapheme', maxLength: 20 });
    const entry = fc.record({
      droplet: id,
      version: id,
      instance: id,
      index: fc.integer({ min: -2, max: 65_537 }),
      state: id,
      state_timestamp: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    });
    fc.assert(
      fc.property(fc.array(entry), (droplets) => {
        // An invalid entry causes the check entry by entry.
        const [whole, byEntry] = [heartbeat(...droplets), heartbeat(...droplets, null)];
        if (!('ok' in whole && 'ok' in byEntry)) throw new Error('rejected');
        expect(byEntry.ok.entries).toEqual(whole.ok.entries);
        const rejected = byEntry.ok.rejected.reduce((sum, { count }) => sum + count, 0);
        expect(byEntry.ok.entries.length + rejected).toBe(droplets.length + 1);
      }),
    );
  });
});

describe('an exit', () => {
  const RAW_EXIT = {
    cc_partition: 'default',
    droplet: 'd-1',
    version: 'v-1',
    instance: 'i-1',
    index: 2,
    reason: 'CRASHED',
    exit_status: null,
    exit_description: 'out of memory',
    crash_timestamp: 1_398_000_000,
  };
  const EXIT: Exited = {
    droplet: 'd-1',
    version: 'v-1',
    instance: 'i-1',
    index: 2,
    reason: 'CRASHED',
    description: 'out of memory',
  };
  const parse = (changes: object) => parseExited(json({ ...RAW_EXIT, ...changes }), 'default');

  it.each<[string, object, object]>([
    ['a crash', {}, { crashTimestampS: 1_398_000_000 }],
    ['a crash without a time', { crash_timestamp: undefined }, {}],
    ['a crash with the time null', { crash_timestamp: null }, {}],
    ['a stop', { reason: 'STOPPED' }, { reason: 'STOPPED' }],
    ['a shutdown', { reason: 'DEA_SHUTDOWN', exit_status: -1 }, { reason: 'DEA_SHUTDOWN', status: -1 }],
    ['an evacuation', { reason: 'DEA_EVACUATION' }, { reason: 'DEA_EVACUATION' }],
    ['of an integer droplet', { droplet: 5 }, { droplet: '5', crashTimestampS: 1_398_000_000 }],
    ['without a partition', { cc_partition: undefined }, { crashTimestampS: 1_398_000_000 }],
  ])('is accepted: %s', (_, changes, expected) => {
    expect(parse(changes)).toEqual({ ok: { ...EXIT, ...expected } });
  });

  it.each<[string, unknown, unknown, object]>([
    ['both', 137, 'out of memory', { status: 137, description: 'out of memory' }],
    ['neither', undefined, undefined, {}],
    ['null', null, null, {}],
    ['an empty description', 0, '', { status: 0 }],
    ['other types, which are only left out', '137', { text: 'x' }, {}],
    ['a status that is no integer', 1.5, 'x', { description: 'x' }],
    ['line breaks and control characters', 1, 'a\n\tb\u001b[31m ', { status: 1, description: 'a b [31m' }],
    ['half a surrogate pair', 1, '\ud800x', { status: 1, description: '\ufffdx' }],
    ['a long description, which is cut', 1, 'ö'.repeat(5000), { status: 1, description: 'ö'.repeat(200) }],
  ])('exit_status and exit_description: %s', (_, exit_status, exit_description, expected) => {
    const { description, ...exit } = EXIT;
    expect(parse({ exit_status, exit_description, crash_timestamp: null })).toEqual({
      ok: { ...exit, ...expected },
    });
  });

  it('of another partition is neither accepted nor rejected', () => {
    expect(parse({ cc_partition: 'other', index: -1 })).toEqual({ foreign: true });
  });

  it.each<[string, unknown]>([
    ['droplet', ''],
    ['version', undefined],
    ['instance', 5],
    ['index', 65_536],
    ['reason', 'BORED'],
    ['reason', undefined],
    ['crash_timestamp', 'now'],
    ['cc_partition', {}],
  ])('is rejected with the %s %j', (field, value) => {
    expect(parse({ [field]: value })).toEqual({ reject: field });
  });
});

describe('other messages', () => {
  it.each<[string, unknown, unknown]>([
    ['an update', { droplet: 'd-1', cc_partition: 'default' }, { ok: { droplet: 'd-1' } }],
    ['an update of an integer', { droplet: 7 }, { ok: { droplet: '7' } }],
    ['an update elsewhere', { droplet: 'd-1', cc_partition: 'x' }, { foreign: true }],
    ['an update without a droplet', {}, { reject: 'droplet' }],
    ['an update with a bad partition', { droplet: 'd-1', cc_partition: 1 }, { reject: 'cc_partition' }],
  ])('%s', (_, message, expected) => {
    expect(parseUpdated(json(message), 'default')).toEqual(expected);
  });

  it.each<[string, unknown, unknown]>([
    ['a shutdown', { id: 'dea-1', ip: '1.2.3.4', app_id_to_count: { x: 1 } }, { ok: { dea: 'dea-1' } }],
    ['a shutdown without an id', { ip: '1.2.3.4' }, { reject: 'id' }],
    ['a shutdown of an empty id', { id: '' }, { reject: 'id' }],
    ['a shutdown of a number', { id: 7 }, { reject: 'id' }],
  ])('%s', (_, message, expected) => {
    expect(parseShutdown(json(message))).toEqual(expected);
  });

  it.each<[string, unknown, unknown]>([
    [
      'flapping',
      { droplet: 'd', version: 'v', state: 'FLAPPING' },
      { ok: { droplet: 'd', version: 'v', state: 'FLAPPING' } },
    ],
    ['crashed', { droplet: 1, state: 'CRASHED' }, { ok: { droplet: '1', state: 'CRASHED' } }],
    ['flapping without a version', { droplet: 'd', state: 'FLAPPING' }, { reject: 'version' }],
    ['another state', { droplet: 'd', version: 'v', state: 'RUNNING' }, { reject: 'state' }],
    ['no droplet', { state: 'CRASHED' }, { reject: 'droplet' }],
  ])('a status request: %s', (_, message, expected) => {
    expect(parseStatusRequest(json(message))).toEqual(expected);
  });

  it('a health request keeps its good entries', () => {
    const droplets = [
      { droplet: 'd', version: 'v' },
      { droplet: 'd' },
      5,
      { version: 'v' },
      { droplet: 3, version: 'w' },
    ];
    expect(parseHealthRequest(json({ droplets }))).toEqual({
      ok: {
        droplets: [
          { droplet: 'd', version: 'v' },
          { droplet: '3', version: 'w' },
        ],
        rejected: [
          { reason: 'version', count: 1 },
          { reason: 'entry', count: 1 },
          { reason: 'droplet', count: 1 },
        ],
      },
    });
    expect(parseHealthRequest(json({ droplets: 'd' }))).toEqual({ reject: 'droplets' });
  });

  it('a droplet request keeps its good entries', () => {
    expect(parseDropletRequest(json({ droplets: [{ droplet: '__proto__' }, {}, { droplet: 1 }] }))).toEqual({
      ok: { droplets: ['__proto__', '1'], rejected: [{ reason: 'droplet', count: 1 }] },
    });
    expect(parseDropletRequest(utf8('x'))).toEqual({ reject: 'json' });
  });
});

describe('any payload', () => {
  const parsers: ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => parseHeartbeat(bytes, 'default'),
    (bytes) => parseExited(bytes, 'default'),
    (bytes) => parseUpdated(bytes, 'default'),
    parseShutdown,
    parseStatusRequest,
    parseHealthRequest,
    parseDropletRequest,
    peekDeaId,
  ];
  const names = ['droplets', 'dea', 'id', '__proto__', ...Object.keys(RAW), 'reason', 'crash_timestamp'];
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.constantFrom('RUNNING', 'CRASHED', 'FLAPPING', 'default', '__proto__', 0, 1e300, 'x'.repeat(300)),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .array(fc.tuple(fc.constantFrom(...names), tie('value')), { maxLength: 8 })
        .map((pairs) => Object.fromEntries(pairs)),
    ),
  }));

  it('makes no parser throw, and a reason for rejection is short enough for a metric label', () => {
    const input = fc.oneof(
      fc.uint8Array(),
      fc.string().map(utf8),
      values.value.map((value) => utf8(JSON.stringify(value) ?? '')),
    );
    fc.assert(
      fc.property(input, (bytes) => {
        for (const parse of parsers) {
          const parsed = parse(bytes) as { reject?: string } | string | undefined;
          if (typeof parsed === 'object' && 'reject' in parsed)
            expect(parsed.reject).toMatch(/^[a-z_ ]{2,20}$/);
        }
      }),
      inputs(1_000),
    );
  });
});
