import { expect, test } from 'vitest';
import type { LogEntry } from '../../../model/decision-log.ts';
import { useRedis } from '../../../testing/context.ts';
import { redisRecords } from '../../../testing/redis/records.ts';
import { storeUpdate } from '../events/store-update.ts';
import { commitDecisions, type DecisionCommit } from './commit-decisions.ts';
import { removeDroplet } from './remove-droplet.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const { record, put, dueAt, setDue, isIndexed, logged } = redisRecords(redis);

type Decision = Partial<Omit<DecisionCommit, 'set' | 'droplet'>> & {
  droplet?: string;
  rev?: number;
  set?: Record<string, string>;
};
const decision = ({ droplet = 'x', rev = 5, set = {}, ...more }: Decision): DecisionCommit => ({
  droplet: { id: droplet, rev },
  nowMs: 1000,
  severity: 0,
  set: Object.entries(set),
  remove: [],
  log: [],
  ...more,
});
const commitAll = (...decisions: Decision[]) => commitDecisions(redis(), decisions.map(decision));
const commit = async (one: Decision) => (await commitAll(one))[0];
const entry = (atMs: number): LogEntry => ({ atMs, droplet: 'x', kind: 'start' });

test('fields, removals and log entries are stored with one revision', async () => {
  await put({ rev: 5, seen: 1, a: 'old', b: 'old', c: 'old' });
  const log = [entry(1), entry(2)];
  expect(await commit({ set: { a: 'new', d: 'new' }, remove: ['b', 'unknown'], log })).toBe('stored');
  expect(await record()).toEqual({ rev: '6', seen: '1', a: 'new', c: 'old', d: 'new' });
  expect(await logged()).toEqual(log);
});

test('a decision that changes nothing gives no new revision', async () => {
  await put({ rev: 5, seen: 1 });
  expect(await commit({})).toBe('stored');
  expect(await record()).toEqual({ rev: '5', seen: '1' });
});

test.each([
  ['has changed', { rev: 6, seen: 1 }],
  ['is gone', undefined],
])('on a record that %s nothing is stored', async (_, fields) => {
  if (fields !== undefined) await put(fields);
  await setDue(500);
  const before = await record();
  const late = { set: { a: 'new' }, remove: ['seen'], log: [entry(1)], requeueAtMs: 9 };
  expect(await commit(late)).toBe('conflict');
  expect(await record()).toEqual(before);
  expect(await logged()).toEqual([]);
  expect(await dueAt()).toBe(500);
});

test('of two decisions on one revision one is stored', async () => {
  await put({ rev: 5, seen: 1 });
  const results = await Promise.all([commit({ set: { a: '1' } }), commit({ set: { a: '2' } })]);
  expect(results.sort()).toEqual(['conflict', 'stored']);
});

/** The decision was made at 1000. */
test.each<[dueMs: number | undefined, requeueAtMs: number | undefined, then: number | undefined]>([
  [undefined, undefined, undefined],
  [undefined, 5000, 5000],
  [500, undefined, undefined],
  [1000, undefined, undefined],
  [1000, 5000, 5000],
  [500, 5000, 5000],
  [1001, undefined, 1001],
  [1001, 5000, 1001],
  [9000, undefined, 9000],
  [9000, 5000, 5000],
])('due at %s, to be reconciled again at %s: due at %s', async (dueMs, requeueAtMs, then) => {
  await put({ rev: 5, seen: 1 });
  if (dueMs !== undefined) await setDue(dueMs);
  expect(await commit({ requeueAtMs })).toBe('stored');
  expect(await dueAt()).toBe(then);
});

test('a droplet is in the troubled zset while its severity is not 0', async () => {
  await put({ rev: 5, seen: 1 });
  const { client, keys } = redis();
  const troubled = () => client.zrange(keys.troubled(0), '0', '-1', 'WITHSCORES');
  await commit({ severity: 500_001 });
  expect(await troubled()).toEqual(['x', '500001']);
  await commit({ rev: 4, severity: 0 });
  expect(await troubled()).toEqual(['x', '500001']);
  await commit({ severity: 0 });
  expect(await troubled()).toEqual([]);
});

test('of several droplets each has a result of its own', async () => {
  const { client, keys } = redis();
  const names = ['one', 'moved', 'three', 'strange', 'five'];
  for (const name of names) await put({ rev: name === 'moved' ? 6 : 5 }, name);
  await client.del(keys.droplet('strange'));
  await client.set(keys.droplet('strange'), 'edited');
  const set = { a: 'new', b: 'new' };
  const decisions = names.map((droplet, n) => ({ droplet, set, remove: ['c'], log: [entry(n)] }));
  const results = await commitAll(...decisions, { droplet: 'five', rev: 6, requeueAtMs: 9 });
  const problem = { problem: expect.stringMatching(/^WRONGTYPE /) };
  expect(results).toEqual(['stored', 'conflict', 'stored', problem, 'stored', 'stored']);
  expect(await record('five')).toEqual({ rev: '6', ...set });
  expect(await logged()).toEqual([entry(0), entry(2), entry(4)]);
  expect(await client.zrange(keys.due(0), '0', '-1', 'WITHSCORES')).toEqual(['five', '9']);
});

test('a write that a server refuses for the moment is stored when it does not', async () => {
  const { client } = redis();
  await put({ rev: 5, seen: 1 });
  await client.config('SET', 'min-replicas-to-write', '1');
  const result = commit({ set: { a: 'new' } });
  await client.config('SET', 'min-replicas-to-write', '0');
  expect(await result).toBe('stored');
  expect(await record()).toEqual({ rev: '6', seen: '1', a: 'new' });
});

test('the log does not grow without bound', async () => {
  await put({ rev: 5, seen: 1 });
  const log = Array.from({ length: 1000 }, (_, n) => entry(n));
  await commitDecisions(redis(), [decision({ log })], 10);
  expect((await logged()).length).toBeLessThan(200);
  expect((await logged()).at(-1)).toEqual(entry(999));
});

test('remove_droplet removes everything of a droplet, and nothing else', async () => {
  const { client, keys } = redis();
  const entry: LogEntry = { atMs: 1, droplet: 'x', kind: 'removed' };
  const remove = (rev: number) => removeDroplet(redis(), { droplet: { id: 'x', rev }, entry });
  for (const droplet of ['x', 'y']) await storeUpdate(redis(), { droplet, nowMs: 1000 });
  await client.zadd(keys.troubled(0), 1, 'x', 1, 'y');
  expect(await remove(2)).toBe('conflict');
  expect([await isIndexed(), await logged()]).toEqual([true, []]);
  expect(await remove(1)).toBe('removed');
  expect(await logged()).toEqual([entry]);
  expect([await record(), await dueAt(), await isIndexed()]).toEqual([{}, undefined, false]);
  expect([await record('y'), await dueAt('y'), await isIndexed('y')]).toEqual([
    { seen: '1000', updated: '1000', rev: '1' },
    1000,
    true,
  ]);
  expect(await client.zrange(keys.troubled(0), '0', '-1')).toEqual(['y']);
  expect(await remove(1)).toBe('conflict');
});
