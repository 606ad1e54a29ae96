import { expect, test } from 'vitest';
import { useRedis } from '../../common/testing/context.ts';
import type { Evaluation } from './evaluation.ts';
import { postpone } from './postpone.ts';

const of = useRedis({ settings: { slices: 2 } });
const SOON_MS = 30_000;
const LATER_MS = 120_000;
const IDS = Array.from({ length: 600 }, (_, n) => `app-${n}`);

/** The stored evaluation of a droplet, with or without changes of its record. */
async function evaluated(id: string, changed = true): Promise<Evaluation> {
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

/** Enough droplets to be postponed, `one` among them. */
const withMany = async (one: Evaluation) => [
  one,
  ...(await Promise.all(IDS.slice(0, 20).map((id) => evaluated(id)))),
];

async function dueInMs(id: string): Promise<number> {
  const { redis, clock } = of.context;
  return Number(await redis.client.zscore(redis.keys.due(redis.keys.sliceOf(id)), id)) - clock.nowMs();
}

test('droplets whose starts all have jobs are reconciled later', async () => {
  await postpone(await Promise.all(IDS.map((id, n) => evaluated(id, n % 2 === 0))), of.context.redis);
  expect(new Set(await Promise.all(IDS.map(dueInMs)))).toEqual(new Set([LATER_MS]));
});

test('a droplet that is requeued for another reason is not postponed', async () => {
  const evaluation = await evaluated('app');
  delete evaluation.decided.requeueOnceEnqueuedMs;
  await postpone(await withMany(evaluation), of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('a droplet whose record has changed since is not postponed', async () => {
  const { client, keys } = of.context.redis;
  const evaluation = await evaluated('app');
  await client.hincrby(keys.droplet('app'), 'rev', 1);
  await postpone(await withMany(evaluation), of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('a droplet that has become due earlier since is not postponed', async () => {
  const { redis, clock } = of.context;
  const evaluation = await evaluated('app');
  await redis.client.zadd(redis.keys.due(redis.keys.sliceOf('app')), clock.nowMs() + 1, 'app');
  await postpone(await withMany(evaluation), redis);
  expect(await dueInMs('app')).toBe(1);
});

test('nothing is postponed in a cluster, where the queue may lose what the record keeps', async () => {
  const { redis } = of.context;
  await postpone(await withMany(await evaluated('app')), { ...redis, isCluster: true });
  expect(await dueInMs('app')).toBe(SOON_MS);
});

test('a few droplets are not postponed: their starts are sent in a moment', async () => {
  await postpone([await evaluated('app')], of.context.redis);
  expect(await dueInMs('app')).toBe(SOON_MS);
});
