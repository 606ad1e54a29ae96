import type { Job } from 'bullmq';
import { expect, test } from 'vitest';
import { openQueue, openWorker } from '../common/queues.ts';
import { useRedis } from '../common/testing/context.ts';
import type { Audit } from './audit.ts';
import type { Looker } from './look.ts';
import { analyzerMetrics } from './metrics.ts';
import { Scanner } from './scan.ts';

const of = useRedis();

test('a step that does not end ends its job: the next one looks through the same slices again', async () => {
  const { redis, clock, log, metrics, lifecycle, settings } = of.context;
  metrics.clear();
  let looks = 0;
  const scanner = new Scanner({
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy: settings.policy,
    looker: { look: () => (looks++ === 0 ? new Promise(() => {}) : Promise.resolve()) } as unknown as Looker,
    audit: { slice: () => new Promise(() => {}) } as unknown as Audit,
    slicesQueue: openQueue(redis, lifecycle, log, 'slices'),
    stepAtMostMs: 20,
  });
  await redis.client.zadd(redis.keys.due(7), clock.now(), 'app');
  await expect(scanner.work({ slices: [7], audit: false })).rejects.toThrow('more than 20 ms');
  await expect(scanner.work({ slices: [7], audit: true })).rejects.toThrow('more than 20 ms');
  await scanner.work({ slices: [7], audit: false });
  expect(looks).toBe(2);
});

test('what is due does not wait for audits that were handed out before', async () => {
  const { redis, clock, log, metrics, lifecycle, settings } = of.context;
  metrics.clear();
  const { client, keys } = redis;
  const turns = [[0, 100, 200], []];
  const scanner = new Scanner({
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy: settings.policy,
    looker: {} as Looker,
    audit: { next: async () => turns.shift() } as unknown as Audit,
    slicesQueue: openQueue(redis, lifecycle, log, 'slices'),
  });
  await scanner.tick();
  await client.zadd(keys.due(7), clock.now(), 'app');
  await scanner.tick();
  const taken: string[] = [];
  openWorker(redis, lifecycle, log, 'slices', async ({ name }: Job) => void taken.push(name), {
    concurrency: 1,
  });
  await expect.poll(() => taken).toHaveLength(4);
  expect(taken[0]).toBe('due: slices 7 to 7');
});
