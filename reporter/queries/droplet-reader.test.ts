import { afterAll, beforeAll, expect, test } from 'vitest';
import { droplet, instance, NOW } from '../../common/testing/builders.ts';
import { type TestContext, testContext } from '../../common/testing/context.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { store } from '../../deploy/verify/fixtures/reporter.ts';
import { DropletReader } from './droplet-reader.ts';
import { BusyError } from './shared-reads.ts';

let redis: TestRedis;
let context: TestContext;

beforeAll(async () => {
  redis = await startTestRedis();
  context = await testContext({ redis });
});
afterAll(async () => {
  await context.lifecycle.stop();
  await redis.stop();
});

const idsOf = (found: Awaited<ReturnType<DropletReader['read']>>) =>
  found.droplets.map((one) => (one instanceof Error ? one : one?.id));

test('queries that share a read get their own droplets, in their own order', async () => {
  const { client, keys } = context.redis;
  for (const id of ['a', 'b', 'c']) {
    await store(context.redis, droplet({ id, instances: [instance(id, { dea: `dea-${id}` })] }));
  }
  await client.zadd(keys.deasLastHeartbeat, NOW, 'dea-a', NOW, 'dea-b');
  const reader = new DropletReader(context.redis, context.clock, context.settings.policy);
  const many = Array.from({ length: 1_234 }, (_, n) => (n % 100 === 0 ? 'b' : `none-${n}`));
  const [one, two, none, lots] = await Promise.all([
    reader.read(['c', 'x', 'a']),
    reader.read(['b']),
    reader.read([]),
    reader.read(many),
  ]);
  expect(idsOf(one)).toEqual(['c', undefined, 'a']);
  expect(one.deas.get('dea-a')).toEqual({ lastHeartbeatMs: NOW });
  expect(one.deas.has('dea-c')).toBe(false);
  expect(idsOf(two)).toEqual(['b']);
  expect(idsOf(none)).toEqual([]);
  expect(idsOf(lots)).toEqual(many.map((id) => (id === 'b' ? 'b' : undefined)));
});

test('reads are refused when too many droplets are waiting', async () => {
  const reader = new DropletReader(context.redis, context.clock, context.settings.policy);
  const ids = new Array<string>(10_000).fill('a');
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => reader.read(ids)));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  expect(refused.map(({ reason }) => reason)).toContainEqual(expect.any(BusyError));
  expect(refused.length).toBeLessThan(16);
  expect(idsOf(await reader.read(['a']))).toEqual(['a']);
});

test('an unreadable record is an Error in its place, and does not affect the others', async () => {
  const { client, keys } = context.redis;
  await client.set(keys.droplet('no-hash'), 'x');
  const reader = new DropletReader(context.redis, context.clock, context.settings.policy);
  const [unreadable, readable] = idsOf(await reader.read(['no-hash', 'a']));
  expect(unreadable).toBeInstanceOf(Error);
  expect(readable).toBe('a');
});

test('a failed read rejects all its queries, and the next one succeeds', async () => {
  const { client, keys } = context.redis;
  await client.rename(keys.deasLastHeartbeat, keys.deasPreviousHeartbeat);
  await client.set(keys.deasLastHeartbeat, 'x');
  const reader = new DropletReader(context.redis, context.clock, context.settings.policy);
  const answers = await Promise.allSettled([reader.read(['a']), reader.read(['b'])]);
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await client.rename(keys.deasPreviousHeartbeat, keys.deasLastHeartbeat);
  expect(idsOf(await reader.read(['a']))).toEqual(['a']);
});
