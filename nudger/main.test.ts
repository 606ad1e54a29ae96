import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Bus } from '../common/nats/bus.ts';
import { openQueue } from '../common/queues/queues.ts';
import { type TestContext, testContext } from '../common/testing/context.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis.ts';
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

/** A nudger whose NATS the test takes away and gives back. */
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
    /** It looks at jobs as if it had NATS, and finds at each that it has not. */
    loseUnnoticed() {
      nats.isConnected = false;
    },
  };
}

/** Starts of droplets that are not known: whoever can send drops them. */
async function putStarts({ redis: connections, lifecycle, log }: TestContext) {
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

test('a nudger without NATS takes no jobs, and those that it has go back for another', async () => {
  const first = await nudger(true);
  first.loseUnnoticed();
  const counts = await putStarts(first.context);
  await expect.poll(counts, { timeout: 5_000 }).toEqual({ ...DONE, active: 3 });
  first.lose();
  await expect.poll(counts, { timeout: 5_000 }).toEqual(WAIT);

  await nudger(true);
  await expect.poll(counts, { timeout: 10_000 }).toEqual(DONE);
});

test('with NATS back it takes jobs again', async () => {
  const only = await nudger(true);
  only.lose();
  const counts = await putStarts(only.context);
  await expect.poll(counts, { timeout: 5_000 }).toEqual(WAIT);
  only.restore();
  await expect.poll(counts, { timeout: 10_000 }).toEqual(DONE);
});

test('one that begins without NATS waits for it', async () => {
  const only = await nudger(false);
  const counts = await putStarts(only.context);
  await expect.poll(counts, { timeout: 5_000 }).toEqual(WAIT);
  only.restore();
  await expect.poll(counts, { timeout: 10_000 }).toEqual(DONE);
});
