import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeys } from '../../../common/redis/keys.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNatsCluster } from '../../../common/testing/nats/cluster.ts';
import type { TestNats } from '../../../common/testing/nats/server.ts';
import {
  type ClusterNode,
  migrateSlot,
  startTestRedisCluster,
  type TestRedisCluster,
} from '../../../common/testing/redis/cluster.ts';
import { type Stage, startStage } from './stage.ts';

/** Two copies of each process, on a Redis Cluster of three masters with a replica each and a NATS cluster of three servers. */
let redis: TestRedisCluster;
let nats: TestNats[];
let stage: Stage;

beforeAll(async () => {
  execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'ignore' });
  [redis, nats] = await Promise.all([startTestRedisCluster({ replicas: true }), startNatsCluster()]);
  stage = await startStage(
    redis.settings,
    nats.map(({ url }) => url),
  );
}, 240_000);
afterAll(async () => {
  await stage?.stop();
  await Promise.all([redis?.stop(), ...(nats ?? []).map((server) => server.stop())]);
}, 60_000);

const HEALTHY_WITHIN_MS = 90_000;

/** Runs a fault under load. Afterwards the cloud must recover without help, and no request may have been wrong. */
async function withLoad(fault: () => Promise<unknown>, loadAfterMs: number): Promise<void> {
  stage.cloud.startLoad();
  try {
    await delay(1_000);
    await fault();
    await delay(loadAfterMs);
  } finally {
    stage.cloud.stopLoad();
  }
  // Usually a few seconds; on a busy machine, requests that a node lost may need a second round.
  await stage.waitUntilHealthy(HEALTHY_WITHIN_MS);
  expect(stage.cloud.violations.splice(0)).toEqual([]);
}

test('slots move to another node with all their keys', async () => {
  const { droplet, eventStreams, deasLastHeartbeat, holds, queuePrefix } = createKeys('hm', 256);
  const keys = [
    droplet('app-0'),
    droplet('app-1'),
    ...eventStreams,
    deasLastHeartbeat,
    holds,
    `${queuePrefix}:starts:x`,
  ];
  await withLoad(async () => {
    const slots = await Promise.all(keys.map((key) => redis.masters[0]?.admin.cluster('KEYSLOT', key)));
    for (const slot of new Set(slots as number[])) {
      const owner = redis.masters.findIndex((_, n) => slot < Math.floor((16_384 * (n + 1)) / 3));
      const [from, to] = [owner, owner + 1].map((n) => redis.masters[n % 3] as ClusterNode);
      if (from !== undefined && to !== undefined) await migrateSlot(redis, slot, from, to);
    }
  }, 1_000);
}, 150_000);

test('a NATS server is killed', async () => {
  // Clients pick a server at random, so the test kills one that a process is connected to.
  const usedServer = nats.find(({ port }) =>
    stage.logged('nats_connected').some(({ server }) => String(server).endsWith(`:${port}`)),
  );
  await withLoad(async () => usedServer?.kill(), 2_000);
  expect(stage.logged('nats_disconnected')).not.toEqual([]);
}, 150_000);

test('a master is killed and its replica takes over', async () => {
  await withLoad(async () => redis.masters[1]?.kill(), 5_000);
  expect(stage.logged('redis_reconnected')).not.toEqual([]);
}, 150_000);

test('a master stalls, its replica takes over, and the master returns', async () => {
  const master = redis.masters[2] as ClusterNode;
  await withLoad(async () => {
    master.pause();
    await delay(6_000);
    master.resume();
  }, 3_000);
  expect(stage.errors()).toEqual([]);
}, 150_000);
