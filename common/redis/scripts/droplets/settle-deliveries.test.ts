import { expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { redisRecords } from '../../../testing/redis/records.ts';
import { type Settlement, settleDeliveries } from './settle-deliveries.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const { record, put, dueAt, setDue, logged } = redisRecords(redis);

const SENT = { id: 'd1', outcome: 'sent', atMs: 1 } as const;
const ENTRY = { atMs: 1, droplet: 'x', kind: 'sent' } as const;
const settlement = (more: Partial<Settlement> = {}): Settlement => ({
  droplet: { id: 'x', rev: 5 },
  outcome: SENT,
  entry: ENTRY,
  requeueAtMs: 9000,
  ...more,
});
const settle = async (more?: Partial<Settlement>) => (await settleDeliveries(redis(), [settlement(more)]))[0];

test('the outcome is stored and logged, and the droplet becomes due', async () => {
  await put({ rev: 5, seen: 1 });
  expect(await settle()).toBe('settled');
  expect(await record()).toEqual({
    rev: '6',
    settlements: '1',
    seen: '1',
    'outcome:d1': JSON.stringify(SENT),
  });
  expect(await logged()).toEqual([ENTRY]);
  expect(await dueAt()).toBe(9000);
});

test('of many nudgers that hold the same job one settles it', async () => {
  await put({ rev: 5, seen: 1 });
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, n) => settle({ outcome: { ...SENT, by: String(n) } })),
  );
  expect(results.filter((result) => result === 'settled')).toHaveLength(1);
  expect(await logged()).toHaveLength(1);
});

test('a repeat whose reply was lost gives the same result and changes nothing', async () => {
  await put({ rev: 5, seen: 1 });
  expect(await settle()).toBe('settled');
  expect(await settle()).toBe('settled');
  expect((await record()).rev).toBe('6');
  expect(await logged()).toHaveLength(1);
});

test.each([
  [500, 500],
  [9001, 9000],
])('a droplet that was due at %i is then due at %i', async (dueMs, then) => {
  await put({ rev: 5, seen: 1 });
  await setDue(dueMs);
  await settle();
  expect(await dueAt()).toBe(then);
});

test('on a record that is gone nothing is stored', async () => {
  expect(await settle()).toBe('conflict');
  expect(await record()).toEqual({});
  expect(await dueAt()).toBeUndefined();
});

test('of several deliveries each has a result of its own', async () => {
  const { client, keys } = redis();
  const names = ['one', 'moved', 'strange', 'four'];
  for (const name of names) await put({ rev: name === 'moved' ? 6 : 5 }, name);
  await client.del(keys.droplet('strange'));
  await client.set(keys.droplet('strange'), 'edited');
  const outcomeOf = (name: string) => ({ ...SENT, id: `d-${name}` });
  const results = await settleDeliveries(
    redis(),
    names.map((id, n) => ({
      droplet: { id, rev: 5 },
      outcome: outcomeOf(id),
      entry: { ...ENTRY, atMs: n },
      requeueAtMs: 9000 + n,
    })),
  );
  const problem = { problem: expect.stringMatching(/^WRONGTYPE /) };
  expect(results).toEqual(['settled', 'conflict', problem, 'settled']);
  expect(await record('four')).toEqual({
    rev: '6',
    settlements: '1',
    'outcome:d-four': JSON.stringify(outcomeOf('four')),
  });
  expect((await logged()).map(({ atMs }) => atMs)).toEqual([0, 3]);
  expect(await client.zrange(keys.due(0), '0', '-1', 'WITHSCORES')).toEqual(['one', '9000', 'four', '9003']);
});

const outcome = (id: string) => ({ ...SENT, id });

test('settlements of one droplet on one read do not conflict, in one call or in several', async () => {
  await put({ rev: 5, seen: 1 });
  const inOneCall = ['d1', 'd2', 'd3'].map((id) => settlement({ outcome: outcome(id) }));
  expect(await settleDeliveries(redis(), inOneCall)).toEqual(['settled', 'settled', 'settled']);
  expect(await settle({ outcome: outcome('d4') })).toBe('settled');
  const read = { id: 'x', rev: 9, settlements: 4 };
  expect(await settle({ droplet: read, outcome: outcome('d5') })).toBe('settled');
  expect(await record()).toMatchObject({ rev: '10', settlements: '5' });
  expect(await logged()).toHaveLength(5);
});

test('any other change of the record conflicts, also one that removes the count of settlements', async () => {
  await put({ rev: 5, seen: 1 });
  await settle();
  const { client, keys } = redis();
  await client.hincrby(keys.droplet('x'), 'rev', 1);
  expect(await settle({ outcome: outcome('d2') })).toBe('conflict');
  await client.hdel(keys.droplet('x'), 'settlements');
  expect(await settle({ outcome: outcome('d2') })).toBe('conflict');
  expect(await settle({ droplet: { id: 'x', rev: 7 }, outcome: outcome('d2') })).toBe('settled');
  expect(await record()).toMatchObject({ rev: '8', settlements: '1' });
});

test('an outcome is replaced only by a settlement that names it', async () => {
  await put({ rev: 5, seen: 1 });
  await settle();
  const dropped = { ...SENT, outcome: 'dropped', why: 'late' } as const;
  expect(await settle({ outcome: dropped })).toBe('conflict');
  expect(await settle({ outcome: dropped, replaces: { ...SENT, atMs: 2 } })).toBe('conflict');
  expect(await settle({ outcome: dropped, replaces: SENT })).toBe('settled');
  expect(await settle({ outcome: outcome('d2'), replaces: SENT })).toBe('conflict');
  expect((await record())['outcome:d1']).toBe(JSON.stringify(dropped));
});

test('a count of settlements that is no number counts as 0', async () => {
  await put({ rev: 5, settlements: 'many' });
  expect(await settle()).toBe('settled');
  expect(await record()).toMatchObject({ rev: '6', settlements: '1' });
});
