import { expect, test } from 'vitest';
import type { Exited } from '../common/messages/incoming/incoming.ts';
import { readDroplets } from '../common/redis/scripts/droplets/reads/read-droplets.ts';
import { useRedis } from '../common/testing/context.ts';
import { storeExit, storeUpdate } from './store-events.ts';

const fixture = useRedis();
const SETTINGS = { dropletLostMs: 30_000 };
const EXITED: Exited = {
  droplet: 'a b',
  version: 'v 1',
  instance: 'i1',
  index: 3,
  reason: 'CRASHED',
  crashTimestampS: 1_398_000_000.5,
};

const events = async () => {
  const { client, keys } = fixture.context.redis;
  const streams = await Promise.all(keys.eventStreams.map((stream) => client.xrange(stream, '-', '+')));
  return streams.flatMap((entries, stream) => entries.map(([, fields]) => [stream, ...fields]));
};
const dueMs = async (id: string) => {
  const { client, keys } = fixture.context.redis;
  return Number(await client.zscore(keys.due(keys.sliceOf(id)), id));
};

test('an exit is stored, the droplet is due, and an event is added', async () => {
  const { clock, redis } = fixture.context;
  expect(await storeExit(redis, clock, EXITED, SETTINGS)).toBe(true);
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
  expect(await dueMs('a b')).toBe(clock.nowMs());
  expect(await events()).toEqual([[redis.keys.sliceOf('a b') % 4, 'kind', 'exit', 'droplet', 'a b']]);
});

test.each([
  ['CRASHED', 9_000],
  ['DEA_SHUTDOWN', 9_000],
  ['STOPPED', 0],
] as const)('an exit with %s that may have waited for 9 s is dated back by %i ms', async (reason, agoMs) => {
  const { clock, redis } = fixture.context;
  await storeExit(redis, clock, { ...EXITED, reason }, SETTINGS, 8_999.5);
  expect(await readDroplets(redis, ['a b'])).toMatchObject([
    { firstSeenMs: clock.nowMs(), exits: [{ atMs: clock.nowMs() - agoMs }] },
  ]);
  expect(await dueMs('a b')).toBe(clock.nowMs());
});

test('an exit that is stored already adds no event', async () => {
  const { clock, redis } = fixture.context;
  await storeExit(redis, clock, EXITED, SETTINGS);
  expect(await storeExit(redis, clock, EXITED, SETTINGS)).toBe(false);
  expect(await events()).toHaveLength(1);
});

test('the exit after an announced evacuation adds an event', async () => {
  const { clock, redis } = fixture.context;
  await storeExit(redis, clock, { ...EXITED, reason: 'DEA_EVACUATION' }, SETTINGS);
  expect(await storeExit(redis, clock, { ...EXITED, reason: 'DEA_SHUTDOWN' }, SETTINGS)).toBe(true);
  expect(await events()).toHaveLength(2);
});

test('an update is stored, and the droplet is due; no crash waits behind its event', async () => {
  const { clock, redis } = fixture.context;
  await storeUpdate(redis, clock, '17');
  const at = clock.nowMs();
  clock.advance(5);
  await storeUpdate(redis, clock, '17');
  expect(await readDroplets(redis, ['17'])).toMatchObject([
    { rev: 2, firstSeenMs: at, updatedMs: at + 5, instances: [], exits: [] },
  ]);
  expect(await dueMs('17')).toBe(at + 5);
  expect(await events()).toEqual([]);
});

test('an exit whose event Redis refuses is in the record and the due list', async () => {
  const { clock, redis } = fixture.context;
  for (const stream of redis.keys.eventStreams) await redis.client.set(stream, 'not a stream');
  await expect(storeExit(redis, clock, EXITED, SETTINGS)).rejects.toThrow('WRONGTYPE');
  expect(await dueMs('a b')).toBe(clock.nowMs());
});
