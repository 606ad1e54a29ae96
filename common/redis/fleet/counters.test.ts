import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestContext, testContext } from '../../testing/context.ts';
import { startTestRedis, type TestRedis } from '../../testing/redis/server.ts';
import { FleetCounters, readCounters } from './counters.ts';

let redis: TestRedis;
let context: TestContext;

beforeEach(async () => {
  redis = await startTestRedis();
  context = await testContext({ redis });
});
afterEach(async () => {
  await context.lifecycle.stop();
  await redis.stop();
});

test('counts begin at 0', async () => {
  const counts = await readCounters(context.redis);
  expect(Object.values(counts)).toEqual(new Array(8).fill(0));
});

test('the counts of several processes are added', async () => {
  const one = new FleetCounters(context);
  const other = new FleetCounters(context);
  one.increment('heartbeat_msgs_received');
  one.increment('heartbeat_msgs_received', 9);
  other.increment('heartbeat_msgs_received', 90);
  other.increment('health_stop_messages_sent');
  await Promise.all([one.flush(), other.flush(), one.flush()]);
  await other.flush();
  expect(await readCounters(context.redis)).toMatchObject({
    heartbeat_msgs_received: 100,
    health_stop_messages_sent: 1,
    health_start_messages_sent: 0,
  });
});

test('counts are stored about once a second', async () => {
  new FleetCounters(context).increment('heartbeat_msgs_received', 5);
  await expect.poll(async () => (await readCounters(context.redis)).heartbeat_msgs_received).toBe(5);
});

test('the last counts are stored at the stop', async () => {
  const process = await testContext({ redis });
  new FleetCounters(process).increment('droplet_exited_msgs_received', 3);
  await process.lifecycle.stop();
  expect((await readCounters(context.redis)).droplet_exited_msgs_received).toBe(3);
});

test('counts that cannot be stored are kept', async () => {
  const { client, keys } = context.redis;
  const counters = new FleetCounters(context);
  await client.set(keys.counters, 'in the way');
  counters.increment('heartbeat_msgs_received', 2);
  await counters.flush();
  counters.increment('heartbeat_msgs_received', 2);
  await client.del(keys.counters);
  await counters.flush();
  expect((await readCounters(context.redis)).heartbeat_msgs_received).toBe(4);
});
