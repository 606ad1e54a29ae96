/** Ingest with a real Redis that refuses writes for a while. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { SUBJECTS } from '../common/messages/subjects.ts';
import { startClock } from '../common/redis/clock.ts';
import { metricValue, type TestContext, testContext } from '../common/testing/context.ts';
import { startNats, type TestNats } from '../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis/server.ts';
import { type Ingest, startIngest } from './main.ts';

let redis: TestRedis;
let nats: TestNats;
let cloud: TestContext;
let context: TestContext;
let ingest: Ingest;

beforeAll(async () => {
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
  cloud = await testContext({ redis, nats });
});
afterAll(async () => {
  await cloud?.lifecycle.stop();
  await Promise.all([redis?.stop(), nats?.stop()]);
});
beforeEach(async () => {
  await cloud.redis.client.flushall();
  context = await testContext({ redis, nats });
  const clock = await startClock(context.redis, context.lifecycle);
  ingest = await startIngest({ ...context, clock });
});
afterEach(async () => {
  await cloud.redis.client.config('SET', 'maxmemory', '0');
  await context.lifecycle.stop();
});

const entry = { cc_partition: 'default', droplet: 'app', version: 'v', instance: 'i', index: 0 };

async function publish(subject: string, message: object): Promise<void> {
  const bus = await cloud.connectBus();
  bus.publish(subject, JSON.stringify(message));
  await bus.flush();
}

test('what arrives while Redis is out of memory is stored when it takes writes again', async () => {
  const { client, keys } = cloud.redis;
  await client.config('SET', 'maxmemory', '1');
  await publish(SUBJECTS.exited, { ...entry, reason: 'CRASHED', crash_timestamp: 1 });
  for (let n = 0; n < 20; n++) await publish(SUBJECTS.updated, { droplet: 'other' });
  await publish(SUBJECTS.shutdown, { id: 'dea-2' });
  await publish(SUBJECTS.heartbeat, {
    dea: 'dea-1',
    droplets: [{ ...entry, instance: 'i2', state: 'RUNNING', state_timestamp: 1 }],
  });
  await expect.poll(() => metricValue(context.metrics, 'hm_heartbeats_received_total')).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await client.exists(keys.droplet('app'), keys.droplet('other'))).toBe(0);
  const receivedBeforeMs = Date.now() - 1_400;
  await client.config('SET', 'maxmemory', '0');
  await ingest.idle();
  const fields = await client.hgetall(keys.droplet('app'));
  expect(Object.keys(fields)).toEqual(expect.arrayContaining(['exit:i', 'instance:i2']));
  expect(fields['exit:i']).toBeDefined();
  expect(await client.hexists(keys.droplet('other'), 'updated')).toBe(1);
  const events = (
    await Promise.all(keys.eventStreams.map((stream) => client.xrange(stream, '-', '+')))
  ).flat();
  expect(events.length).toBeLessThanOrEqual(3);
  // The heartbeat counts from when it was received, not from when it could be stored.
  expect(Number(await client.zscore(keys.deasLastHeartbeat, 'dea-1'))).toBeLessThan(receivedBeforeMs);
}, 20_000);
