import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { expect, test } from 'vitest';
import { openQueue, openWorker, type SlicesJob } from '../../common/queues/queues.ts';
import { useRedis } from '../../common/testing/context.ts';
import { analyzerMetrics } from '../metrics.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { Audit } from './audit.ts';
import { Tick } from './tick.ts';

const of = useRedis();

/** A scanner, and the queue that it puts jobs into. */
function scannerWith(options: {
  turns?: number[][];
  look?: (ids: string[]) => Promise<void>;
  stepAtMostMs?: number;
}) {
  const { redis, clock, log, metrics, lifecycle, settings } = of.context;
  const { turns = [], look, stepAtMostMs } = options;
  metrics.clear();
  const slicesQueue = openQueue(redis, lifecycle, log, 'slices');
  const scanner = new Tick({
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy: settings.policy,
    reconciler: { reconcile: look } as unknown as Reconciler,
    audit: { next: async () => turns.shift() ?? [], slice: never } as unknown as Audit,
    slicesQueue,
    ...(stepAtMostMs !== undefined && { stepAtMostMs }),
  });
  return { scanner, slicesQueue };
}
const never = () => new Promise<never>(() => {});

test('a step that does not end ends its job: the next one evaluations through the same slices again', async () => {
  const { redis, clock } = of.context;
  const looked: string[][] = [];
  const { scanner: stuck } = scannerWith({ look: never, stepAtMostMs: 20 });
  await redis.client.zadd(redis.keys.due(7), clock.nowMs(), 'app');
  await expect(stuck.work({ slices: [7], audit: false })).rejects.toThrow('more than 20 ms');
  await expect(stuck.work({ slices: [7], audit: true })).rejects.toThrow('more than 20 ms');
  const { scanner: next } = scannerWith({ look: async (ids) => void looked.push(ids) });
  await next.work({ slices: [7], audit: false });
  expect(looked).toEqual([['app']]);
});

test('what is due does not wait for audits that were handed out before', async () => {
  const { redis, clock, log, lifecycle } = of.context;
  const { client, keys } = redis;
  const { scanner } = scannerWith({ turns: [[0, 100, 200], []] });
  await scanner.run();
  await client.zadd(keys.due(7), clock.nowMs(), 'app');
  await scanner.run();
  const taken: string[] = [];
  const note = async ({ name }: Job) => void taken.push(name);
  const worker = openWorker(redis, lifecycle, log, 'slices', note, { concurrency: 1 });
  await expect.poll(() => taken).toHaveLength(4);
  await worker.close();
  expect(taken[0]).toBe('due: slices 7 to 7');
});

test('where audits are slower than planned the next turn waits, and no slice is passed over', async () => {
  const { redis, log, lifecycle } = of.context;
  const turns = [[0, 1, 2], [3], [4, 5]];
  const { scanner, slicesQueue } = scannerWith({ turns });
  const audited: number[] = [];
  let mayEnd = 0;
  const slow = async ({ data }: Job<SlicesJob>) => {
    while (audited.length >= mayEnd) await delay(5);
    audited.push(...data.slices);
  };
  const worker = openWorker(redis, lifecycle, log, 'slices', slow, { concurrency: 1 });
  await scanner.run();
  await expect.poll(() => slicesQueue.getPrioritizedCount()).toBe(0);
  await scanner.run();
  await scanner.run();
  expect(turns).toEqual([[4, 5]]);
  mayEnd = 4;
  await expect.poll(() => audited).toEqual([0, 1, 2, 3]);
  await scanner.run();
  mayEnd = 6;
  await expect.poll(() => audited).toEqual([0, 1, 2, 3, 4, 5]);
  await worker.close();
});

test.each([
  ['a few due droplets are one job, wherever they are', 3, ['due: slices 7 to 250']],
  ['many are several', 600, ['due: slices 250 to 250', 'due: slices 7 to 7']],
])('%s', async (_, each, jobs) => {
  const { redis, clock } = of.context;
  const { scanner, slicesQueue } = scannerWith({});
  for (const slice of [7, 250]) {
    const due = Array.from({ length: each }, (_, n) => [clock.nowMs(), `app-${slice}-${n}`]);
    await redis.client.zadd(redis.keys.due(slice), ...due.flat());
  }
  await scanner.run();
  await scanner.run();
  expect((await slicesQueue.getWaiting()).map(({ name }) => name).sort()).toEqual(jobs);
});
