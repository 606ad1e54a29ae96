import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../common/messages/subjects.ts';
import type { Bus } from '../common/nats/bus.ts';
import { metricValue, type TestContext, testContext } from '../common/testing/context.ts';
import { startNats, type TestNats } from '../common/testing/nats/server.ts';
import { withScripts } from '../common/testing/redis/scripts.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis/server.ts';
import { type Ingest, startIngest } from './main.ts';

let redis: TestRedis;
let nats: TestNats;
/** A client besides the process, as a DEA is. */
let cloud: TestContext;
let bus: Bus;
/** Longer than several round trips to a busy Redis, and than the usual step of a stop. */
const SLOW_MS = 3_500;
/** Two copies of the process under test. */
let copies: { context: TestContext; ingest: Ingest }[];

beforeAll(async () => {
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
  cloud = await testContext({ redis, nats });
  bus = await cloud.connectBus();
});
afterAll(async () => {
  await cloud?.lifecycle.stop();
  await Promise.all([redis?.stop(), nats?.stop()]);
});
beforeEach(async () => {
  await cloud.redis.client.flushall();
  copies = [];
  for (let n = 0; n < 2; n++) {
    const context = await testContext({ redis, nats, settings: { ccPartition: 'ours' } });
    copies.push({ context, ingest: await startIngest(context) });
    await flushed(context); // so it is subscribed
  }
});
afterEach(stopAll);

async function stopAll(): Promise<void> {
  for (const { context } of copies.splice(0)) await context.lifecycle.stop();
}

/** Resolves when everything published before has been delivered. */
async function flushed(context: TestContext): Promise<void> {
  for (const own of await context.buses()) await own.flush();
}

/** Publishes messages, and waits until they are stored. */
async function send(subject: string, ...payloads: unknown[]): Promise<void> {
  for (const payload of payloads) {
    bus.publish(subject, typeof payload === 'string' ? payload : JSON.stringify(payload));
  }
  await bus.flush();
  for (const { context, ingest } of copies) {
    await flushed(context);
    await ingest.idle();
  }
}

/** The value of a metric, summed over both copies. */
async function counted(name: string, labels: Record<string, string> = {}): Promise<number> {
  const values = copies.map(({ context }) => metricValue(context.metrics, name, labels));
  return (await Promise.all(values)).reduce((sum, value) => sum + value, 0);
}

const entry = (droplet: string, more: object = {}) => ({
  cc_partition: 'ours',
  droplet,
  version: 'v1',
  instance: `${droplet}-0`,
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_398_000_000,
  ...more,
});
const exit = (droplet: string, more: object = {}) => ({
  ...entry(droplet),
  reason: 'STOPPED',
  exit_status: null,
  exit_description: '',
  ...more,
});
const record = (droplet: string) =>
  cloud.redis.client.hgetall(cloud.redis.keys.droplet(droplet)).then(Object.keys);

describe('ingest stores', () => {
  test('a heartbeat', async () => {
    await send(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    expect(await record('app')).toContain('instance:app-0');
  });

  test('an exit', async () => {
    await send(SUBJECTS.exited, exit('app'), exit('app', { instance: 'i2', reason: 'CRASHED' }));
    expect(await record('app')).toEqual(expect.arrayContaining(['exit:app-0', 'exit:i2']));
    expect(await counted('hm_exits_received_total', { reason: 'CRASHED' })).toBe(1);
    expect(await counted('hm_exits_received_total', { reason: 'STOPPED' })).toBe(1);
  });

  test('an update, and requests a bulk sync', async () => {
    await send(SUBJECTS.updated, { droplet: 'app', cc_partition: 'ours' });
    expect(await record('app')).toContain('updated');
    expect(await counted('hm_updates_received_total')).toBe(1);
    const { client, keys } = cloud.redis;
    expect(await client.hexists(keys.syncState, 'requested')).toBe(1);
  });

  test('a shutdown, and removes it when the DEA sends another heartbeat', async () => {
    const { client, keys } = cloud.redis;
    await send(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    await send(SUBJECTS.shutdown, { id: 'dea-1', ip: '10.0.0.1', version: '1', app_id_to_count: {} });
    expect(await client.hkeys(keys.deasShutdown)).toEqual(['dea-1']);
    expect(await counted('hm_dea_shutdowns_received_total')).toBe(1);
    // The manual clock stands still, and the heartbeat may have been delivered before it was read.
    for (const { context } of copies) context.clock.advance(10_000);
    await send(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    expect(await client.hkeys(keys.deasShutdown)).toEqual([]);
  });

  test('a shutdown that is sent just after a heartbeat, which does not remove it', async () => {
    const { client, keys } = cloud.redis;
    await send(SUBJECTS.heartbeat, { droplets: [], dea: 'dea-1' });
    for (let n = 0; n < 20; n++) {
      for (const { context } of copies) context.clock.advance(10_000);
      bus.publish(
        SUBJECTS.heartbeat,
        JSON.stringify({ droplets: n % 2 ? [] : [entry('app')], dea: 'dea-1' }),
      );
      await send(SUBJECTS.shutdown, { id: 'dea-1' });
      expect(await client.hkeys(keys.deasShutdown)).toEqual(['dea-1']);
    }
  });
});

describe('ingest rejects', () => {
  test.each([
    [SUBJECTS.heartbeat, 'json', '{'],
    [SUBJECTS.heartbeat, 'index', { droplets: [entry('app', { index: -1 })], dea: 'dea-1' }],
    [SUBJECTS.exited, 'reason', exit('app', { reason: 'BORED' })],
    [SUBJECTS.updated, 'droplet', { droplet: null }],
    [SUBJECTS.shutdown, 'id', { id: '' }],
  ])('an invalid message, counts it and logs it: %s, %s', async (subject, reason, payload) => {
    await send(subject, payload);
    expect(await counted('hm_messages_rejected_total', { subject, reason })).toBe(1);
    const logged = copies
      .flatMap(({ context }) => context.lines)
      .filter(({ event }) => event === 'message_rejected');
    expect(logged).toEqual([expect.objectContaining({ subject, reason })]);
    expect(await record('app')).toEqual([]);
    expect(await cloud.redis.client.exists(cloud.redis.keys.deasShutdown)).toBe(0);
  });

  test('many messages with at most one log line a second for each reason', async () => {
    await send(SUBJECTS.updated, ...Array(20).fill({ droplet: null }), ...Array(20).fill('{'));
    for (const { context } of copies) {
      const logged = context.lines
        .filter(({ event }) => event === 'message_rejected')
        .map(({ reason }) => reason);
      expect(logged.length).toBe(new Set(logged).size);
    }
    expect(await counted('hm_messages_rejected_total')).toBe(40);
  });
});

test('a message of another partition is ignored without a log line', async () => {
  const theirs = { cc_partition: 'theirs' };
  await send(SUBJECTS.heartbeat, { droplets: [entry('app', theirs), entry('other')], dea: 'dea-1' });
  await send(SUBJECTS.exited, exit('app', theirs));
  await send(SUBJECTS.updated, { droplet: 'app', ...theirs });
  expect(await record('app')).toEqual([]);
  expect(await record('other')).toContain('instance:other-0');
  expect(await counted('hm_messages_rejected_total')).toBe(0);
});
test('each message is handled by one of the copies, and counted for the whole deployment', async () => {
  await send(SUBJECTS.heartbeat, ...Array(30).fill({ droplets: [entry('app')], dea: 'dea-1' }));
  await send(SUBJECTS.exited, ...Array(20).fill(exit('app')));
  await send(SUBJECTS.updated, ...Array(10).fill({ droplet: 'app' }));
  await send(SUBJECTS.shutdown, ...Array(5).fill({ id: 'dea-1' }));
  expect(await counted('hm_heartbeats_received_total')).toBe(30);
  expect(await counted('hm_exits_received_total')).toBe(20);
  expect(await counted('hm_updates_received_total')).toBe(10);
  expect(await counted('hm_dea_shutdowns_received_total')).toBe(5);
  await stopAll(); // a stop stores the latest counts
  const { client, keys } = cloud.redis;
  expect(await client.hgetall(keys.counters)).toEqual({
    heartbeat_msgs_received: '30',
    droplet_exited_msgs_received: '20',
    droplet_updated_msgs_received: '10',
  });
});

test('a copy that stops while Redis is slow first stores its messages in flight', async () => {
  const context = await testContext({ redis, nats, settings: { ccPartition: 'ours' } });
  const slowRedis = withScripts(context.redis, ['store_exit_with_event'], async (run) => {
    await delay(SLOW_MS);
    return run();
  });
  await stopAll();
  await startIngest({ ...context, redis: slowRedis });
  await flushed(context);
  bus.publish(SUBJECTS.exited, JSON.stringify(exit('app')));
  await expect.poll(() => metricValue(context.metrics, 'hm_exits_received_total')).toBe(1);
  await context.lifecycle.stop();
  expect(await record('app')).toContain('exit:app-0');
  const { client, keys } = cloud.redis;
  expect(await client.xlen(keys.events(keys.sliceOf('app')))).toBe(1);
}, 10_000);
