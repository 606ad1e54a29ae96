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
  const never = () => new Promise<never>(() => {});
  const looked: string[][] = [];
  const options = {
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy: settings.policy,
    audit: { slice: never } as unknown as Audit,
    slicesQueue: openQueue(redis, lifecycle, log, 'slices'),
  };
  const stuck = new Scanner({ ...options, looker: { look: never } as unknown as Looker, stepAtMostMs: 20 });
  await redis.client.zadd(redis.keys.due(7), clock.now(), 'app');
  await expect(stuck.work({ slices: [7], audit: false })).rejects.toThrow('more than 20 ms');
  await expect(stuck.work({ slices: [7], audit: true })).rejects.toThrow('more than 20 ms');
  const look = async (ids: string[]) => void looked.push(ids);
  const next = new Scanner({ ...options, looker: { look } as unknown as Looker });
  await next.work({ slices: [7], audit: false });
  expect(looked).toEqual([['app']]);
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
