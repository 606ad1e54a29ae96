import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { expect, test } from 'vitest';
import { openQueue, openWorker, type SlicesJob } from '../../common/queues/queues.ts';
import { useRedis } from '../../common/testing/context.ts';
import { analyzerMetrics } from '../metrics.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { Audit } from './audit/audit.ts';
import { Tick } from './tick.ts';

const of = useRedis();

/** A tick, and the queue that it puts jobs into. */
function tickWith(options: {
  turns?: number[][];
  reconcile?: (ids: string[]) => Promise<void>;
  stepTimeoutMs?: number;
}) {
  const { redis, clock, log, metrics, lifecycle, settings } = of.context;
  const { turns = [], reconcile, stepTimeoutMs } = options;
  metrics.clear();
  const slicesQueue = openQueue(redis, lifecycle, log, 'slices');
  const tick = new Tick({
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy: settings.policy,
    reconciler: { reconcile } as unknown as Reconciler,
    audit: { nextSlices: async () => turns.shift() ?? [], auditNext: never } as unknown as Audit,
    slicesQueue,
    ...(stepTimeoutMs !== undefined && { stepTimeoutMs }),
  });
  return { tick, slicesQueue };
}
const never = () => new Promise<never>(() => {});

test('a step that does not end fails its job, and the next job reconciles the same slices again', async () => {
  const { redis, clock } = of.context;
  const reconciled: string[][] = [];
  const { tick: stuck } = tickWith({ reconcile: never, stepTimeoutMs: 20 });
  await redis.client.zadd(redis.keys.due(7), clock.nowMs(), 'app');
  await expect(stuck.work({ slices: [7], audit: false })).rejects.toThrow('more than 20 ms');
  await expect(stuck.work({ slices: [7], audit: true })).rejects.toThrow('more than 20 ms');
  const { tick: next } = tickWith({ reconcile: async (ids) => void reconciled.push(ids) });
  await next.work({ slices: [7], audit: false });
  expect(reconciled).toEqual([['app']]);
});

test('due droplets do not wait for audit jobs that were dispatched before', async () => {
  const { redis, clock, log, lifecycle } = of.context;
  const { client, keys } = redis;
  const { tick } = tickWith({ turns: [[0, 100, 200], []] });
  await tick.run();
  await client.zadd(keys.due(7), clock.nowMs(), 'app');
  await tick.run();
  const taken: string[] = [];
  const note = async ({ name }: Job) => void taken.push(name);
  const worker = openWorker(redis, lifecycle, log, 'slices', note, { concurrency: 1 });
  await expect.poll(() => taken).toHaveLength(4);
  await worker.close();
  expect(taken[0]).toBe('due: slices 7 to 7');
});

test('if the audit is behind its next turn waits, and no slice is skipped', async () => {
  const { redis, log, lifecycle } = of.context;
  const turns = [[0, 1, 2], [3], [4, 5]];
  const { tick, slicesQueue } = tickWith({ turns });
  const audited: number[] = [];
  let mayEnd = 0;
  const slow = async ({ data }: Job<SlicesJob>) => {
    while (audited.length >= mayEnd) await delay(5);
    audited.push(...data.slices);
  };
  const worker = openWorker(redis, lifecycle, log, 'slices', slow, { concurrency: 1 });
  await tick.run();
  await expect.poll(() => slicesQueue.getPrioritizedCount()).toBe(0);
  await tick.run();
  await tick.run();
  expect(turns).toEqual([[4, 5]]);
  mayEnd = 4;
  await expect.poll(() => audited).toEqual([0, 1, 2, 3]);
  await tick.run();
  mayEnd = 6;
  await expect.poll(() => audited).toEqual([0, 1, 2, 3, 4, 5]);
  await worker.close();
});

test.each([
  ['a few due droplets make one job, in whatever slices', 3, ['due: slices 7 to 250']],
  ['many due droplets make several jobs', 600, ['due: slices 250 to 250', 'due: slices 7 to 7']],
])('%s', async (_, each, jobs) => {
  const { redis, clock } = of.context;
  const { tick, slicesQueue } = tickWith({});
  for (const slice of [7, 250]) {
    const due = Array.from({ length: each }, (_, n) => [clock.nowMs(), `app-${slice}-${n}`]);
    await redis.client.zadd(redis.keys.due(slice), ...due.flat());
  }
  await tick.run();
  await tick.run();
  expect((await slicesQueue.getWaiting()).map(({ name }) => name).sort()).toEqual(jobs);
});

test('due droplets are dispatched although Redis has lost the list of an earlier job', async () => {
  const { redis, clock } = of.context;
  const { client, keys } = redis;
  const { tick, slicesQueue } = tickWith({});
  await client.zadd(keys.due(7), clock.nowMs(), 'app');
  await tick.run();
  await client.del(slicesQueue.toKey('wait'));
  await tick.run();
  expect(await slicesQueue.getJobCountByTypes('waiting')).toBe(1);
});

test('under actual_not_fresh no DEA is taken for lost, however long it has been silent; once the hold ends, it is', async () => {
  const { redis, clock, settings } = of.context;
  const { client, keys } = redis;
  const { dropletLostMs } = settings.policy;
  const { tick } = tickWith({});
  const nowMs = clock.nowMs();
  await client.zadd(keys.deasLastHeartbeat, nowMs - 3 * dropletLostMs, 'silent');
  await client.zadd(keys.watermarks, nowMs, 'ingestor');
  await client.hset(keys.holds, 'mass_loss_evaluated', `${nowMs - 2 * dropletLostMs} ${nowMs}`);
  await client.hset(keys.listening, { since: nowMs - 1000, until: nowMs });
  await tick.run();
  expect(await client.zscore(keys.deasLost, 'silent')).toBeNull();
  await client.hset(keys.listening, { since: nowMs - 4 * dropletLostMs, until: nowMs });
  await tick.run();
  expect(await client.zscore(keys.deasLost, 'silent')).not.toBeNull();
});
