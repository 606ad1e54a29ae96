import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Bus } from '../common/nats/bus.ts';
import { openQueue } from '../common/queues/queues.ts';
import { type TestContext, testContext } from '../common/testing/context.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis/server.ts';
import { startNudger } from './main.ts';

let redis: TestRedis;
const contexts: TestContext[] = [];
beforeEach(async () => {
  redis = await startTestRedis();
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.lifecycle.stop();
  await redis.stop();
});

/** A nudger whose NATS connection the test loses and restores. */
async function nudger(isConnected: boolean) {
  const lost: (() => void)[] = [];
  const restored: (() => void)[] = [];
  const nats = { isConnected };
  const bus = {
    connected: () => nats.isConnected,
    onLost: (fn: () => void) => lost.push(fn),
    onRestored: (fn: () => void) => restored.push(fn),
  } as unknown as Bus;
  const context = await testContext({ redis: { url: redis.url }, bus });
  contexts.push(context);
  await startNudger(context);
  return {
    context,
    lose() {
      nats.isConnected = false;
      for (const fn of lost) fn();
    },
    restore() {
      nats.isConnected = true;
      for (const fn of restored) fn();
    },
    /** It takes jobs as if it were connected, and finds at each that it is not. */
    loseUnnoticed() {
      nats.isConnected = false;
    },
  };
}

/** Enqueues starts of unknown droplets, which a connected nudger drops. */
async function enqueueStarts({ redis: connections, lifecycle, log }: TestContext) {
  const queue = openQueue(connections, lifecycle, log, 'starts');
  for (const id of ['a', 'b', 'c'])
    await queue.add(
      id,
      { id, droplet: id, index: 0, version: 'v', reason: 'missing' },
      { jobId: id, priority: 5 },
    );
  return () => queue.getJobCounts('prioritized', 'waiting', 'active', 'delayed');
}
const DONE = { prioritized: 0, waiting: 0, active: 0, delayed: 0 };
const WAIT = { ...DONE, prioritized: 3 };

test('a nudger that loses NATS takes no more jobs, and its current jobs go back for another nudger', async () => {
  const first = await nudger(true);
  first.loseUnnoticed();
  const counts = await enqueueStarts(first.context);
  await expect.poll(counts).toEqual({ ...DONE, active: 3 });
  first.lose();
  await expect.poll(counts).toEqual(WAIT);

  await nudger(true);
  await expect.poll(counts).toEqual(DONE);
});

test('it takes jobs again when NATS is restored', async () => {
  const only = await nudger(true);
  only.lose();
  const counts = await enqueueStarts(only.context);
  await expect.poll(counts).toEqual(WAIT);
  only.restore();
  await expect.poll(counts).toEqual(DONE);
});

test('a nudger that starts without NATS takes jobs when NATS is connected', async () => {
  const only = await nudger(false);
  const counts = await enqueueStarts(only.context);
  await expect.poll(counts).toEqual(WAIT);
  only.restore();
  await expect.poll(counts).toEqual(DONE);
});
