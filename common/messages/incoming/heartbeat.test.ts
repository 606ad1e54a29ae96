import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeartbeatEntry, parseHeartbeat } from './incoming.ts';

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
