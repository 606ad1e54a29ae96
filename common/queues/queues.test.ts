import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { defaultSettings } from '../config/settings.ts';
import { connectRedis } from '../redis/connection/connections.ts';
import { Health } from '../runtime/health.ts';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { type ClusterNode, startTestRedisCluster } from '../testing/redis/cluster.ts';
import { startTestRedis } from '../testing/redis/server.ts';
import { createDoneJobKeeper, openQueue, openWorker } from './queues.ts';

/** How long a worker waits for jobs (s); a second later BullMQ ends the wait and reconnects. */
const DRAIN_DELAY_S = 2;

test('a worker that reconnects while its cluster is down works again when the cluster does', async () => {
  const cluster = await startTestRedisCluster();
  const lifecycle = new Lifecycle();
  const log = pino({ level: 'silent' });
  try {
    const redis = await connectRedis({
      settings: { ...defaultSettings(), redis: cluster.settings, slices: 1 },
      log,
      health: new Health(),
      lifecycle,
    });
    const queue = openQueue(redis, lifecycle, log, 'stops');
    const done: string[] = [];
    openWorker(redis, lifecycle, log, 'stops', async (job) => done.push(job.name), {
      drainDelay: DRAIN_DELAY_S,
    });
    await queue.add('before', {});
    await expect.poll(() => done).toEqual(['before']);

    const down = await takeDown(cluster.masters);
    await delay(DRAIN_DELAY_S * 1000 + 3_000);
    await down.end();

    await queue.add('after', {});
    await expect.poll(() => done).toEqual(['before', 'after']);
  } finally {
    await lifecycle.stop();
    await cluster.stop();
  }
}, 60_000);

/** Takes a slot from its node: until it has a node again, the whole cluster refuses commands (`CLUSTERDOWN`). */
async function takeDown(masters: readonly ClusterNode[]): Promise<{ end(): Promise<void> }> {
  const slot = 0;
  const all = (state: string) =>
    expect
      .poll(async () => (await Promise.all(masters.map(stateOf))).every((found) => found === state), {
        timeout: 10_000,
      })
      .toBe(true);
  for (const { admin } of masters) await admin.cluster('DELSLOTS', slot);
  await all('fail');
  return {
    async end() {
      await masters[0]?.admin.cluster('ADDSLOTS', slot);
      await all('ok');
    },
  };
}

async function stateOf({ admin }: ClusterNode): Promise<string | undefined> {
  return /cluster_state:(\w+)/.exec((await admin.cluster('INFO')) as string)?.[1];
}

test.each([
  ['is full', ['maxmemory', '1']],
  ['has too few replicas', ['min-replicas-to-write', '1']],
])(
  'a worker with a job asks seldom while Redis %s, and works when it is over',
  async (_, [setting = '', value = '']) => {
    const server = await startTestRedis();
    const lifecycle = new Lifecycle();
    const log = pino({ level: 'silent' });
    try {
      const redis = await connectRedis({
        settings: { ...defaultSettings(), redis: { kind: 'single', url: server.url }, slices: 1 },
        log,
        health: new Health(),
        lifecycle,
      });
      await openQueue(redis, lifecycle, log, 'stops').add('waiting', {});
      const { client } = redis as { client: Redis };
      await client.config('SET', setting, value);
      const done: string[] = [];
      openWorker(redis, lifecycle, log, 'stops', async (job) => done.push(job.name));
      const refused = async () =>
        Number(/errorstat_(?:OOM|NOREPLICAS):count=(\d+)/.exec(await client.info('errorstats'))?.[1] ?? 0);
      await expect.poll(refused).toBeGreaterThan(0);
      const before = await refused();
      await delay(1_500);
      expect((await refused()) - before).toBeLessThan(20);
      await client.config('SET', setting, '0');
      await expect.poll(() => done).toEqual(['waiting']);
    } finally {
      await lifecycle.stop();
      await server.stop();
    }
  },
  40_000,
);

test('a hundred jobs that are done at once are kept, and a sample of more', () => {
  let nowMs = 5;
  const keep = createDoneJobKeeper(() => nowMs);
  const kept = (count: number) =>
    Array.from({ length: count }, () => {
      const job = { opts: {} as { removeOnComplete?: unknown } };
      keep(job as Parameters<typeof keep>[0]);
      return job.opts.removeOnComplete !== undefined;
    }).filter(Boolean).length;
  expect(kept(150)).toBe(100);
  nowMs += 1_000;
  expect(kept(150)).toBe(4);
  nowMs += 3_600_000;
  expect(kept(150)).toBe(100);
});
