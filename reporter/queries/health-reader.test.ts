import { afterAll, beforeAll, expect, test } from 'vitest';
import { desired, droplet, exit, instance, NOW, SECOND } from '../../common/testing/builders.ts';
import { type TestContext, testContext } from '../../common/testing/context.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { healthyCount } from '../../common/views/droplet/droplet-answers.ts';
import { store } from '../../deploy/verify/fixtures/reporter.ts';
import { DropletReader } from './droplet-reader.ts';
import { HealthReader } from './health-reader.ts';

let redis: TestRedis;
let context: TestContext;
let reader: HealthReader;

beforeAll(async () => {
  redis = await startTestRedis();
  context = await testContext({ redis });
  context.clock.set(NOW);
  const { clock, settings } = context;
  reader = new HealthReader(
    context.redis,
    clock,
    settings.policy,
    new DropletReader(context.redis, clock, settings.policy),
  );
  for (const id of ['a', 'b', 'exited']) {
    const exits = id === 'exited' ? [exit(id, { reason: 'STOPPED', atMs: NOW })] : [];
    await store(
      context.redis,
      droplet({ id, desired: desired(), instances: [instance(id, { dea: `dea-${id}` })], exits }),
    );
  }
});
afterAll(async () => {
  await context.lifecycle.stop();
  await redis.stop();
});

const heard = (dea: string, atMs: number) =>
  context.redis.client.zadd(context.redis.keys.deasLastHeartbeat, atMs, dea);

async function health(...ids: string[]): Promise<unknown[]> {
  const { droplets } = await reader.read(ids);
  return droplets.map((view) =>
    view === undefined || view instanceof Error ? view : healthyCount(view, 'v1'),
  );
}

test('a DEA that was heard is not read again until droplet_lost after that, and then again', async () => {
  await heard('dea-a', NOW);
  await heard('dea-b', NOW);
  await heard('dea-exited', NOW);
  const reads: string[] = [];
  const { client } = context.redis;
  const zmscore = client.zmscore.bind(client);
  Object.assign(client, {
    zmscore: (key: string, ...deas: string[]) => {
      reads.push(deas.sort().join());
      return zmscore(key, ...deas);
    },
  });
  try {
    expect(await health('a', 'nobody', 'b')).toEqual([1, undefined, 1]);
    expect(await health('a', 'b')).toEqual([1, 1]);
    context.clock.set(NOW + 30 * SECOND);
    expect(await health('b', 'a')).toEqual([1, 1]);
    expect(reads).toEqual(['dea-a,dea-b']);
    // Of two that are no proof any more, one is still heard.
    await heard('dea-a', NOW + 30 * SECOND);
    context.clock.set(NOW + 30 * SECOND + 1);
    expect(await health('a', 'b')).toEqual([1, 0]);
    await heard('dea-b', NOW + 30 * SECOND);
    expect(await health('a', 'b')).toEqual([1, 1]);
    expect(reads).toEqual(['dea-a,dea-b', 'dea-a,dea-b', 'dea-b']);
  } finally {
    Object.assign(client, { zmscore });
    context.clock.set(NOW);
  }
});

test('a heartbeat to come is no proof', async () => {
  await heard('dea-a', NOW + 3_600 * SECOND);
  context.clock.set(NOW + 70 * SECOND);
  expect(await health('a')).toEqual([1]);
  await heard('dea-a', NOW);
  expect(await health('a')).toEqual([0]);
  context.clock.set(NOW);
});

test('a droplet with an exit, an unreadable one and one with an edited empty line do not affect the others', async () => {
  const { client, keys } = context.redis;
  await heard('dea-a', NOW);
  await client.set(keys.droplet('no-hash'), 'x');
  expect(await health('exited', 'no-hash', 'a')).toEqual([0, expect.any(Error), 1]);
  await client.hset(keys.droplet('gap'), { rev: '', seen: '5' });
  expect(await health('a', 'gap', 'exited')).toEqual([1, expect.any(Error), 0]);
});
