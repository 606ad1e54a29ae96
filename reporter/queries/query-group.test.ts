import { afterEach, beforeEach, expect, test } from 'vitest';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import type { Bus } from '../../common/nats/bus.ts';
import { desired, droplet, instance, NOW } from '../../common/testing/builders.ts';
import { ManualClock, type TestContext, testContext } from '../../common/testing/context.ts';
import { startNats, type TestNats } from '../../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { STATUS, store } from '../../deploy/verify/fixtures/reporter.ts';
import { startReporter } from '../main.ts';

let nats: TestNats;
let redises: TestRedis[];
let contexts: TestContext[];
let bus: Bus;

const settings = { slices: 8, status: STATUS };
const context = async (redis: TestRedis, more: object = {}) => {
  const made = await testContext({
    ...{ redis, nats },
    clock: new ManualClock(NOW),
    settings: { ...settings, ...more },
  });
  contexts.push(made);
  return made;
};

/** A reporter on that Redis, which knows one app. */
const reporter = async (redis: TestRedis, more: object = {}) => {
  const made = await context(redis, more);
  await store(made.redis, droplet({ id: 'app', desired: desired(), instances: [instance('i')] }));
  await startReporter(made);
  return made;
};

beforeEach(async () => {
  contexts = [];
  [nats, ...redises] = await Promise.all([startNats(), startTestRedis(), startTestRedis()]);
  bus = await (await context(redises[0] as TestRedis)).connectBus();
});
afterEach(async () => {
  for (const redis of redises) process.kill(redis.pid, 'SIGCONT');
  for (const { lifecycle } of contexts) await lifecycle.stop();
  for (const redis of redises) await redis.stop();
  await nats.stop();
});

/** How many of that many queries are answered. */
async function answered(queries: number): Promise<number> {
  const query = JSON.stringify({ droplets: [{ droplet: 'app', version: 'v1' }] });
  const asked = Array.from({ length: queries }, () =>
    bus.request(SUBJECTS.healthRequest, query, { timeoutMs: 10_000 }),
  );
  return (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled').length;
}

test('a reporter that cannot read Redis leaves the queue group, so that the others answer every query', async () => {
  const [away, ...others] = redises as [TestRedis, TestRedis];
  const left = await reporter(away);
  for (const other of others) await reporter(other);
  expect(await answered(20)).toBe(20);
  process.kill(away.pid, 'SIGSTOP');
  const events = () =>
    left.lines.map(({ event }) => event).filter((event) => `${event}`.startsWith('queue_group'));
  await expect.poll(events).toEqual(['queue_group_left']);
  expect(await answered(20)).toBe(20);
  process.kill(away.pid, 'SIGCONT');
  await expect.poll(events).toEqual(['queue_group_left', 'queue_group_joined']);
});

test('the reporters of two deployments on one NATS each get every query', async () => {
  const got: string[] = [];
  await reporter(redises[0] as TestRedis);
  await reporter(redises[1] as TestRedis, { redisPrefix: 'trial' });
  bus.subscribe('replies', {}, ({ data }) => got.push(Buffer.from(data).toString()));
  const query = JSON.stringify({ droplets: [{ droplet: 'app', version: 'v1' }] });
  await bus.flush();
  for (let n = 0; n < 10; n++) bus.connection.publish(SUBJECTS.healthRequest, query, { reply: 'replies' });
  await expect.poll(() => got.length).toBe(20);
});
