import type { Queue } from 'bullmq';
import { Registry } from 'prom-client';
import { beforeEach, expect, test } from 'vitest';
import { decisionId } from '../../common/model/decision-id.ts';
import { queuePriority } from '../../common/queues/queue-priority.ts';
import { openQueue, type QueueName } from '../../common/queues/queues.ts';
import { droplet } from '../../common/testing/builders.ts';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { queueMetrics } from './queue-metrics.ts';

const of = useRedis();
const NAMES = ['starts', 'restarts', 'stops', 'slices', 'sync'] as const;
let queues: Record<(typeof NAMES)[number], Queue>;
let metrics: Registry;
let away = false;

beforeEach(() => {
  const { redis, lifecycle, log, clock } = of.context;
  const open = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  queues ??= Object.fromEntries(NAMES.map((name) => [name, open(name)])) as typeof queues;
  metrics = new Registry();
  away = false;
  queueMetrics(metrics, { redis, clock, queues }, async (read) => (away ? undefined : read()));
});

/** The id of a decision made so long ago. */
const decided = (index: number, agoMs: number) =>
  decisionId(droplet(), `start-${index}`, of.context.clock.nowMs() - agoMs);
const length = (queue: string, state: string) => metricValue(metrics, 'hm_queue_length', { queue, state });
const oldest = (queue: string) => metricValue(metrics, 'hm_queue_oldest_seconds', { queue });

test('the oldest start is found whatever its priority', async () => {
  const add = (index: number, agoMs: number, priority: number) =>
    queues.starts.add('start', {}, { jobId: decided(index, agoMs), priority });
  expect(await oldest('starts')).toBe(0);
  await add(0, 3_000, queuePriority('high', 1));
  await add(1, 90_000, queuePriority('low', 0.3));
  await add(2, 5_000, queuePriority('low', 0.3));
  await add(3, 60_000, queuePriority('normal', 0.5));
  expect(await oldest('starts')).toBe(90);
  expect(await length('starts', 'waiting')).toBe(4);
  await queues.starts.remove(decided(1, 90_000));
  expect(await oldest('starts')).toBe(60);
});

test('the oldest stop is the one that came first', async () => {
  for (const agoMs of [20_000, 10_000]) await queues.stops.add('stop', {}, { jobId: decided(0, agoMs) });
  expect(await oldest('stops')).toBe(20);
  expect(await length('stops', 'waiting')).toBe(2);
});

test('a restart waits from when it was due', async () => {
  const id = decided(0, 70_000);
  await queues.restarts.add('restart', {}, { jobId: id, delay: 60_000 });
  expect(await oldest('restarts')).toBe(0);
  expect([await length('restarts', 'waiting'), await length('restarts', 'delayed')]).toEqual([0, 1]);
  await (await queues.restarts.getJob(id))?.promote();
  expect(await oldest('restarts')).toBe(10);
  expect([await length('restarts', 'waiting'), await length('restarts', 'delayed')]).toEqual([1, 0]);
});

test('a job that somebody else put there has no age, and hides none', async () => {
  await queues.starts.add('by hand', {}, { jobId: 'by-hand', priority: 1 });
  await queues.starts.add('start', {}, { jobId: decided(0, 4_000), priority: 2 });
  expect(await oldest('starts')).toBe(4);
});

test('slices and passes are counted; where Redis is away nothing is said', async () => {
  await queues.slices.addBulk(
    [1, 2, 3].map((n) => ({ name: 'slices', data: { slices: [n], audit: false } })),
  );
  await queues.sync.add('pass', {});
  expect([await length('slices', 'waiting'), await length('sync', 'waiting')]).toEqual([3, 1]);
  away = true;
  const text = await metrics.metrics();
  expect(text).toContain('# TYPE hm_queue_length gauge');
  expect(text).not.toMatch(/^hm_/m);
});
