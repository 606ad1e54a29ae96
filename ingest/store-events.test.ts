import { expect, test } from 'vitest';
import type { Exited } from '../common/messages/incoming.ts';
import { readDroplets } from '../common/redis/readers.ts';
import { useRedis } from '../common/testing/context.ts';
import { storeExit, storeUpdate } from './store-events.ts';

const of = useRedis();
const LOST = { dropletLostMs: 30_000 };
const EXITED: Exited = {
  droplet: 'a b',
  version: 'v 1',
  instance: 'i1',
  index: 3,
  reason: 'CRASHED',
  crashTimestampS: 1_398_000_000.5,
};

const told = async () => {
  const { client, keys } = of.context.redis;
  const streams = await Promise.all(keys.eventStreams.map((stream) => client.xrange(stream, '-', '+')));
  return streams.flatMap((entries, stream) => entries.map(([, fields]) => [stream, ...fields]));
};
const dueAt = async (id: string) => {
  const { client, keys } = of.context.redis;
  return Number(await client.zscore(keys.due(keys.sliceOf(id)), id));
};

test('an exit is stored, the droplet is due, and the analyzers are told', async () => {
  const { clock, redis } = of.context;
  expect(await storeExit(redis, clock, EXITED, LOST)).toBe(true);
  expect(await readDroplets(redis, ['a b'])).toMatchObject([
    {
      exits: [
        {
          instance: 'i1',
          index: 3,
          version: 'v 1',
          reason: 'CRASHED',
          crashTimestampS: 1_398_000_000.5,
          atMs: clock.nowMs(),
          n: 1,
        },
      ],
    },
  ]);
  expect(await dueAt('a b')).toBe(clock.nowMs());
  expect(await told()).toEqual([[redis.keys.sliceOf('a b') % 4, 'kind', 'exit', 'droplet', 'a b']]);
});

test.each([
  ['CRASHED', 9_000],
  ['DEA_SHUTDOWN', 9_000],
  ['STOPPED', 0],
] as const)('an exit with %s that may have waited for 9 s counts from %i ms ago', async (reason, agoMs) => {
  const { clock, redis } = of.context;
  await storeExit(redis, clock, { ...EXITED, reason }, LOST, 8_999.5);
  expect(await readDroplets(redis, ['a b'])).toMatchObject([
    { firstSeenMs: clock.nowMs(), exits: [{ atMs: clock.nowMs() - agoMs }] },
  ]);
  expect(await dueAt('a b')).toBe(clock.nowMs());
});

test('an exit that is known already is nothing new', async () => {
  const { clock, redis } = of.context;
  await storeExit(redis, clock, EXITED, LOST);
  expect(await storeExit(redis, clock, EXITED, LOST)).toBe(false);
  expect(await told()).toHaveLength(1);
});

test('the end of an announced evacuation is news', async () => {
  const { clock, redis } = of.context;
  await storeExit(redis, clock, { ...EXITED, reason: 'DEA_EVACUATION' }, LOST);
  expect(await storeExit(redis, clock, { ...EXITED, reason: 'DEA_SHUTDOWN' }, LOST)).toBe(true);
  expect(await told()).toHaveLength(2);
});

test('an update is stored, the droplet is due, and the analyzers are told', async () => {
  const { clock, redis } = of.context;
  await storeUpdate(redis, clock, '17');
  const at = clock.nowMs();
  clock.advance(5);
  await storeUpdate(redis, clock, '17');
  expect(await readDroplets(redis, ['17'])).toMatchObject([
    { rev: 2, firstSeenMs: at, updatedMs: at + 5, instances: [], exits: [] },
  ]);
  expect(await dueAt('17')).toBe(at + 5);
  expect(await told()).toEqual([
    [redis.keys.sliceOf('17') % 4, 'kind', 'update', 'droplet', '17'],
    [redis.keys.sliceOf('17') % 4, 'kind', 'update', 'droplet', '17'],
  ]);
});

test('should the streams be refused, the record and the due list have it', async () => {
  const { clock, redis } = of.context;
  for (const stream of redis.keys.eventStreams) await redis.client.set(stream, 'somebody wrote this');
  await expect(storeExit(redis, clock, EXITED, LOST)).rejects.toThrow('WRONGTYPE');
  expect(await dueAt('a b')).toBe(clock.nowMs());
});
