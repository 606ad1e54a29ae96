import { expect, test } from 'vitest';
import { useRedis } from '../../common/testing/context.ts';
import type { Evaluation } from './evaluation.ts';
import { postpone } from './postpone.ts';

const of = useRedis({ settings: { slices: 2 } });
const SOON_MS = 30_000;
const LATER_MS = 120_000;
const IDS = Array.from({ length: 600 }, (_, n) => `app-${n}`);

/** A droplet that was just looked at, and the outcome stored, by changes of its record or without. */
async function looked(id: string, changed = true): Promise<Evaluation> {
  const { redis, clock } = of.context;
  const { client, keys } = redis;
  const nowMs = clock.nowMs();
  await client.hset(keys.droplet(id), 'rev', 8);
  await client.zadd(keys.due(keys.sliceOf(id)), nowMs + SOON_MS, id);
  return {
    droplet: { id, rev: changed ? 7 : 8 },
    nowMs,
    decided: {
      changed,
      requeueAtMs: nowMs + SOON_MS,
      requeueOnceEnqueuedMs: nowMs + LATER_MS,
    },
  } as unknown as Evaluation;
}

/** Enough for a call of their own, `one` among them. */
const withMany = async (one: Evaluation) => [
  one,
  ...(await Promise.all(IDS.slice(0, 20).map((id) => looked(id)))),
];

async function dueInMs(id: string): Promise<number> {
  const { redis, clock } = of.context;
  return Number(await redis.client.zscore(redis.keys.due(redis.keys.sliceOf(id)), id)) - clock.nowMs();
}

test('whose starts all have their jobs is looked at later', async () => {
  await postpone(await Promise.all(IDS.map((id, n) => looked(id, n % 2 === 0))), of.context.redis);
  expect(new Set(await Promise.all(IDS.map(dueInMs)))).toEqual(new Set([LATER_MS]));
});

test('but not one that is to be looked at for something else before', async () => {
  const look = await looked('app');
  delete look.decided.requeueOnceEnqueuedMs;
  await postpone(await withMany(look), of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('nor one of which something was heard since', async () => {
  const { client, keys } = of.context.redis;
  const look = await looked('app');
  await client.hincrby(keys.droplet('app'), 'rev', 1);
  await postpone(await withMany(look), of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('nor one that is wanted to be looked at since', async () => {
  const { redis, clock } = of.context;
  const look = await looked('app');
  await redis.client.zadd(redis.keys.due(redis.keys.sliceOf('app')), clock.nowMs() + 1, 'app');
  await postpone(await withMany(look), redis);
  expect(await dueInMs('app')).toBe(1);
});

test('nor any in a cluster, where the queue may lose what the record keeps', async () => {
  const { redis } = of.context;
  await postpone(await withMany(await looked('app')), { ...redis, isCluster: true });
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('nor where there are only a few: they leave in a moment', async () => {
  await postpone([await looked('app')], of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});
