import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKeys, EVENT_STREAMS, FIELD, type Keys, PIECES } from './keys.ts';
import { SCHEMA } from './schema.ts';

/** The function that ioredis uses, wherever it is installed. */
const calculateSlot = createRequire(import.meta.resolve('ioredis'))('cluster-key-slot') as (
  key: string,
) => number;

const keys = createKeys('hm', 256);
const DROPLET = 'a3c1f0de-8b1e-4f29-9a55-0c2a7f4f8d11';

/** Every key that `Keys` can make, for a few droplets and slices. */
function allKeys(of: Keys): string[] {
  const made: string[] = [];
  const takesText = (make: (text: string) => string) =>
    [DROPLET, '17', 'a:b', '{x}', '__proto__'].forEach((text) => void made.push(make(text)));
  const takesNumber = (make: (slice: number) => string) =>
    [0, 1, 255].forEach((n) => void made.push(make(n)));
  const byText = ['droplet', 'indexOf', 'deaList'] as const;
  const byNumber = [
    'due',
    'decisions',
    'summary',
    'troubled',
    'writeCheck',
    'events',
    'passOf',
    'syncPage',
  ] as const;
  for (const name of byText) takesText(of[name]);
  for (const name of byNumber) takesNumber(of[name]);
  for (let piece = 0; piece < PIECES; piece++) made.push(of.index(3, piece));
  made.push(...of.eventStreams, `${of.queuePrefix}:starts:wait`);
  const seen = new Set<string>([
    ...byText,
    ...byNumber,
    'index',
    'eventStreams',
    'queuePrefix',
    'prefix',
    'slices',
    'sliceOf',
  ]);
  for (const [name, value] of Object.entries(of)) {
    if (typeof value === 'string' && !seen.has(name)) made.push(value);
    else expect(seen, `this test does not know the key ${name}`).toContain(name);
  }
  return made;
}

/** Patterns for the keys of a row, from a name such as `<prefix>:{<slice>}:droplet:<id>`. */
function patterns(row: string): RegExp[] {
  return row.split(' and ').map((key) => {
    const pattern = key
      .replaceAll(/[{}]/g, String.raw`\$&`)
      .replace('...', '.+')
      .replaceAll(/<(slice|piece|n)>/g, String.raw`\d+`)
      .replaceAll(/<(id|dea)>/g, '.+')
      .replaceAll('<prefix>', 'hm');
    return new RegExp(`^${pattern}$`);
  });
}

describe('the documentation of the schema', () => {
  test('has exactly one row for every key', () => {
    for (const key of allKeys(keys)) {
      const rows = SCHEMA.filter((row) => patterns(row.key).some((pattern) => pattern.test(key)));
      expect(
        rows.map((row) => row.key),
        key,
      ).toHaveLength(1);
    }
  });

  test('has no row without a key', () => {
    const made = allKeys(keys);
    for (const row of SCHEMA) {
      for (const pattern of patterns(row.key))
        expect(
          made.some((key) => pattern.test(key)),
          row.key,
        ).toBe(true);
    }
  });

  test('no field name is the prefix of another', () => {
    const fields = Object.values(FIELD);
    expect(new Set(fields).size).toBe(fields.length);
    for (const a of fields) {
      for (const b of fields) expect(a !== b && a.endsWith(':') && b.startsWith(a)).toBe(false);
    }
  });
});

describe('keys', () => {
  test('of one slice are in one slot of a cluster, whatever the id of the droplet is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 65_536 }), (droplet, slices) => {
        const of = createKeys('hm', slices);
        const slice = of.sliceOf(droplet);
        const slots = [
          of.droplet(droplet),
          of.indexOf(droplet),
          of.due(slice),
          of.index(slice, 0),
          of.decisions(slice),
          of.summary(slice),
          of.passOf(slice),
        ].map((key) => calculateSlot(key));
        expect(new Set(slots)).toEqual(new Set([calculateSlot(String(slice))]));
      }),
    );
  });

  test.each<[string, string[]]>([
    [
      'fleet',
      [
        keys.deasLastHeartbeat,
        keys.deasPreviousHeartbeat,
        keys.deasDigest,
        keys.deasCount,
        keys.deasShutdown,
        keys.deasLost,
        keys.deaList('{0}'),
        ...[
          keys.listening,
          keys.watermarks,
          keys.ingestors,
          keys.syncState,
          keys.holds,
          keys.scan,
          keys.counters,
          keys.layout,
        ],
        keys.failover,
      ],
    ],
    ['sync', [keys.syncPass, keys.syncPage(1), keys.syncPage(2), keys.syncMissing]],
    ['queues', [`${keys.queuePrefix}:starts:wait`, `${keys.queuePrefix}:stops:active`]],
  ])('of the %s share a slot', (tag, of) => {
    expect(new Set(of.map((key) => calculateSlot(key)))).toEqual(new Set([calculateSlot(tag)]));
  });

  test('a droplet belongs to one piece of its slice', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (droplet) => {
        const slice = keys.sliceOf(droplet);
        const pieces = Array.from({ length: PIECES }, (_, piece) => keys.index(slice, piece));
        expect(pieces.filter((piece) => piece === keys.indexOf(droplet))).toHaveLength(1);
      }),
    );
  });

  test('droplets spread over slices, pieces and streams', () => {
    const ids = Array.from({ length: 20_000 }, (_, n) => `app-${n}`);
    const count = (of: (id: string) => unknown) => new Set(ids.map(of)).size;
    expect(count((id) => keys.sliceOf(id))).toBe(256);
    expect(count((id) => keys.indexOf(id))).toBe(256 * PIECES);
    expect(count((id) => keys.events(keys.sliceOf(id)))).toBe(EVENT_STREAMS);
    expect([...keys.eventStreams].sort()).toEqual(
      [...new Set(ids.map((id) => keys.events(keys.sliceOf(id))))].sort(),
    );
  });

  /** With another mapping stored droplets would not be found, so it needs another LAYOUT_VERSION. */
  test.each([
    [DROPLET, 135, 11],
    ['17', 66, 0],
    ['ünï', 234, 8],
  ])('the place of %s never changes', (droplet, slice, piece) => {
    expect(keys.sliceOf(droplet)).toBe(slice);
    expect(keys.droplet(droplet)).toBe(`hm:{${slice}}:droplet:${droplet}`);
    expect(keys.indexOf(droplet)).toBe(`hm:{${slice}}:droplets:${piece}`);
  });
});
