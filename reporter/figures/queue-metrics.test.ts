import type { Queue } from 'bullmq';
import { Registry } from 'prom-client';
import { beforeEach, expect, test } from 'vitest';
import { decisionId } from '../../common/model/decision-id.ts';
import { queuePriority } from '../../common/queues/queue-priority.ts';
import { openQueue, type QueueName } from '../../common/queues/queues.ts';
import { droplet } from '../../common/testing/builders.ts';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { queueMetrics } from './queue-metrics.ts';

const fixture = useRedis();
const NAMES = ['starts', 'restarts', 'stops', 'slices', 'sync'] as const;
let queues: Record<(typeof NAMES)[number], Queue>;
let metrics: Registry;
let isRedisUnavailable = false;

beforeEach(() => {
  const { redis, lifecycle, log, clock } = fixture.context;
  const open = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  queues ??= Object.fromEntries(NAMES.map((name) => [name, open(name)])) as typeof queues;
  metrics = new Registry();
  isRedisUnavailable = false;
  queueMetrics(metrics, { redis, clock, queues }, async (read) => (isRedisUnavailable ? undefined : read()));
});

/** The id of a decision made `agoMs` ago. */
const decided = (index: number, agoMs: number) =>
  decisionId(droplet(), `start-${index}`, fixture.context.clock.nowMs() - agoMs);
const length = (queue: string, state: string) => metricValue(metrics, 'hm_queue_length', { queue, state });
const oldest = (queue: string) => metricValue(metrics, 'hm_queue_oldest_seconds', { queue });

test('the oldest start is found among all priorities', async () => {
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

test('the oldest stop is the one that was enqueued first', async () => {
  for (const agoMs of [20_000, 10_000]) await queues.stops.add('stop', {}, { jobId: decided(0, agoMs) });
  expect(await oldest('stops')).toBe(20);
  expect(await length('stops', 'waiting')).toBe(2);
});

test('a restart waits from the time it was due', async () => {
  const id = decided(0, 70_000);
  await queues.restarts.add('restart', {}, { jobId: id, delay: 60_000 });
  expect(await oldest('restarts')).toBe(0);
  expect([await length('restarts', 'waiting'), await length('restarts', 'delayed')]).toEqual([0, 1]);
  await (await queues.restarts.getJob(id))?.promote();
  expect(await oldest('restarts')).toBe(10);
  expect([await length('restarts', 'waiting'), await length('restarts', 'delayed')]).toEqual([1, 0]);
});

test('a job without a decision id has no age, and does not hide others', async () => {
  await queues.starts.add('by hand', {}, { jobId: 'by-hand', priority: 1 });
  await queues.starts.add('start', {}, { jobId: decided(0, 4_000), priority: 2 });
  expect(await oldest('starts')).toBe(4);
});

test('slices and passes are counted; without Redis the gauges have no values', async () => {
  await queues.slices.addBulk(
    [1, 2, 3].map((n) => ({ name: 'slices', data: { slices: [n], audit: false } })),
  );
  await queues.sync.add('pass', {});
  expect([await length('slices', 'waiting'), await length('sync', 'waiting')]).toEqual([3, 1]);
  isRedisUnavailable = true;
  const text = await metrics.metrics();
  expect(text).toContain('# TYPE hm_queue_length gauge');
  expect(text).not.toMatch(/^hm_/m);
});
