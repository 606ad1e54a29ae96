import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../common/messages/subjects.ts';
import type { Bus } from '../common/nats/bus.ts';
import { metricValue, type TestContext, testContext } from '../common/testing/context.ts';
import { startNats, type TestNats } from '../common/testing/nats.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis.ts';
import { type Ingest, startIngest } from './main.ts';

let redis: TestRedis;
let nats: TestNats;
/** Another client, as a DEA is one. */
let cloud: TestContext;
let bus: Bus;
/** As long as several round trips to a Redis that is far away or busy. */
const SLOW_MS = 3_500;
/** Two copies of the process. */
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
    await flushed(context); // it is subscribed
  }
});
afterEach(stopAll);

async function stopAll(): Promise<void> {
  for (const { context } of copies.splice(0)) await context.lifecycle.stop();
}

/** All that was published before has been handed over. */
async function flushed(context: TestContext): Promise<void> {
  for (const own of await context.buses()) await own.flush();
}

/** Publishes, and waits until all of it is stored. */
async function say(subject: string, ...payloads: unknown[]): Promise<void> {
  for (const payload of payloads) {
    bus.publish(subject, typeof payload === 'string' ? payload : JSON.stringify(payload));
  }
  await bus.flush();
  for (const { context, ingest } of copies) {
    await flushed(context);
    await ingest.idle();
  }
}

/** Over both copies. */
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

describe('what is heard reaches Redis', () => {
  test('a heartbeat', async () => {
    await say(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    expect(await record('app')).toContain('instance:app-0');
  });

  test('an exit', async () => {
    await say(SUBJECTS.exited, exit('app'), exit('app', { instance: 'i2', reason: 'CRASHED' }));
    expect(await record('app')).toEqual(expect.arrayContaining(['exit:app-0', 'exit:i2']));
    expect(await counted('hm_exits_received_total', { reason: 'CRASHED' })).toBe(1);
    expect(await counted('hm_exits_received_total', { reason: 'STOPPED' })).toBe(1);
  });

  test('an update, and with it the wish for a bulk pass', async () => {
    await say(SUBJECTS.updated, { droplet: 'app', cc_partition: 'ours' });
    expect(await record('app')).toContain('updated');
    expect(await counted('hm_updates_received_total')).toBe(1);
    const { client, keys } = cloud.redis;
    expect(await client.hexists(keys.syncState, 'wanted')).toBe(1);
  });

  test('a shutdown; a heartbeat after it tells that the DEA stays', async () => {
    const { client, keys } = cloud.redis;
    await say(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    await say(SUBJECTS.shutdown, { id: 'dea-1', ip: '10.0.0.1', version: '1', app_id_to_count: {} });
    expect(await client.hkeys(keys.deasShutdown)).toEqual(['dea-1']);
    expect(await counted('hm_dea_shutdowns_received_total')).toBe(1);
    // A manual clock stands still: a later heartbeat is a later one only when it moves.
    for (const { context } of copies) context.clock.advance(1);
    await say(SUBJECTS.heartbeat, { droplets: [entry('app')], dea: 'dea-1' });
    expect(await client.hkeys(keys.deasShutdown)).toEqual([]);
  });
});

describe('what is left out', () => {
  test.each([
    [SUBJECTS.heartbeat, 'json', '{'],
    [SUBJECTS.heartbeat, 'index', { droplets: [entry('app', { index: -1 })], dea: 'dea-1' }],
    [SUBJECTS.exited, 'reason', exit('app', { reason: 'BORED' })],
    [SUBJECTS.updated, 'droplet', { droplet: null }],
    [SUBJECTS.shutdown, 'id', { id: '' }],
  ])('because it does not fit, is counted and said: %s, %s', async (subject, reason, payload) => {
    await say(subject, payload);
    expect(await counted('hm_messages_rejected_total', { subject, reason })).toBe(1);
    const said = copies
      .flatMap(({ context }) => context.lines)
      .filter(({ event }) => event === 'message_rejected');
    expect(said).toEqual([expect.objectContaining({ subject, reason })]);
    expect(await record('app')).toEqual([]);
    expect(await cloud.redis.client.exists(cloud.redis.keys.deasShutdown)).toBe(0);
  });

  test('because it is of another partition, without a word', async () => {
    const theirs = { cc_partition: 'theirs' };
    await say(SUBJECTS.heartbeat, { droplets: [entry('app', theirs), entry('other')], dea: 'dea-1' });
    await say(SUBJECTS.exited, exit('app', theirs));
    await say(SUBJECTS.updated, { droplet: 'app', ...theirs });
    expect(await record('app')).toEqual([]);
    expect(await record('other')).toContain('instance:other-0');
    expect(await counted('hm_messages_rejected_total')).toBe(0);
  });

  test('is said at most once a second for each reason', async () => {
    await say(SUBJECTS.updated, ...Array(20).fill({ droplet: null }), ...Array(20).fill('{'));
    for (const { context } of copies) {
      const said = context.lines
        .filter(({ event }) => event === 'message_rejected')
        .map(({ reason }) => reason);
      expect(said.length).toBe(new Set(said).size);
    }
    expect(await counted('hm_messages_rejected_total')).toBe(40);
  });
});

test('each message is taken by one of the copies, and counted for the whole deployment', async () => {
  await say(SUBJECTS.heartbeat, ...Array(30).fill({ droplets: [entry('app')], dea: 'dea-1' }));
  await say(SUBJECTS.exited, ...Array(20).fill(exit('app')));
  await say(SUBJECTS.updated, ...Array(10).fill({ droplet: 'app' }));
  await say(SUBJECTS.shutdown, ...Array(5).fill({ id: 'dea-1' }));
  expect(await counted('hm_heartbeats_received_total')).toBe(30);
  expect(await counted('hm_exits_received_total')).toBe(20);
  expect(await counted('hm_updates_received_total')).toBe(10);
  expect(await counted('hm_dea_shutdowns_received_total')).toBe(5);
  await stopAll(); // what was counted last is stored then
  const { client, keys } = cloud.redis;
  expect(await client.hgetall(keys.counters)).toEqual({
    heartbeat_msgs_received: '30',
    droplet_exited_msgs_received: '20',
    droplet_updated_msgs_received: '10',
  });
});

test('a copy that stops while Redis is slow stores what it has in hand first', async () => {
  const context = await testContext({ redis, nats, settings: { ccPartition: 'ours' } });
  const { scripts } = context.redis;
  const slow = async (...call: Parameters<typeof scripts.storeExit>) => {
    await delay(SLOW_MS);
    return scripts.storeExit(...call);
  };
  await stopAll();
  await startIngest({ ...context, redis: { ...context.redis, scripts: { ...scripts, storeExit: slow } } });
  await flushed(context);
  bus.publish(SUBJECTS.exited, JSON.stringify(exit('app')));
  await expect.poll(() => metricValue(context.metrics, 'hm_exits_received_total')).toBe(1);
  await context.lifecycle.stop();
  expect(await record('app')).toContain('exit:app-0');
  const { client, keys } = cloud.redis;
  expect(await client.xlen(keys.events(keys.sliceOf('app')))).toBe(1);
}, 10_000);
