import { mkdirSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultSettings } from '../../config/settings.ts';
import { Health } from '../../runtime/health.ts';
import { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../../testing/context.ts';
import { startTestRedis, type TestRedis } from '../../testing/redis/server.ts';
import { connectRedis, type RedisConnections } from './connections.ts';
import { checkWrites, ReplicaBackoff } from './write-check.ts';

let server: TestRedis;
/** Another client of the same server. */
let admin: Redis;
let lifecycle: Lifecycle;
let health: Health;
let redis: RedisConnections;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  server = await startTestRedis();
  admin = new Redis(server.url);
  lifecycle = new Lifecycle();
  health = new Health();
  const captured = captureLog();
  lines = captured.lines;
  const settings = { ...defaultSettings(), redis: { kind: 'single', url: server.url } as const };
  const connections = await connectRedis({ settings, log: captured.log, health, lifecycle });
  checkWrites(connections, lifecycle);
  redis = connections;
});
afterEach(async () => {
  admin.disconnect();
  await lifecycle.stop();
  await server.stop();
});

const problem = () => health.problems().get('redis writes');
const events = () => lines.map(({ event }) => event).filter((event) => String(event).startsWith('redis'));

describe('a Redis that refuses writes is shown and logged once, and so is its end', () => {
  test.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    ['OOM', () => admin.config('SET', 'maxmemory', '1'), () => admin.config('SET', 'maxmemory', '0')],
    [
      'NOREPLICAS',
      () => admin.config('SET', 'min-replicas-to-write', '1'),
      () => admin.config('SET', 'min-replicas-to-write', '0'),
    ],
    [
      'MISCONF',
      async () => {
        await admin.config('SET', 'save', '3600 1');
        await breakSaves();
      },
      () => admin.config('SET', 'stop-writes-on-bgsave-error', 'no'),
    ],
    ['READONLY', () => admin.replicaof('127.0.0.1', 1), () => admin.replicaof('NO', 'ONE')],
  ])(
    '%s',
    async (code, begin, end) => {
      await begin();
      await expect.poll(problem).toBe(`redis refuses writes: ${code}`);
      await end();
      await expect.poll(problem).toBeUndefined();
      expect(events()).toEqual(['redis_refuses_writes', 'redis_accepts_writes']);
    },
    30_000,
  );
});

/** Makes a background save fail: with a folder in the place of its file, which not even root's process can write. */
async function breakSaves(): Promise<void> {
  const [, dir = ''] = (await admin.config('GET', 'dir')) as string[];
  mkdirSync(`${dir}/dump.rdb`);
  await admin.set('changed', '1');
  await admin.bgsave();
  await expect
    .poll(async () => /rdb_last_bgsave_status:(\w+)/.exec(await admin.info('persistence'))?.[1])
    .toBe('err');
}

test('a replica without a master is connected to a few times in ten seconds, and the write arrives in the end', async () => {
  await admin.replicaof('127.0.0.1', 1);
  const before = await connections();
  const written = redis.client.set('x', '1');
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  expect((await connections()) - before).toBeLessThan(15);
  expect(events()).toEqual(['redis_refuses_writes']);
  await admin.replicaof('NO', 'ONE');
  await written;
  expect(await admin.get('x')).toBe('1');
}, 30_000);

const connections = async () =>
  Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]);

test('the waits before connections to a replica grow, and begin anew later', () => {
  let nowMs = 0;
  const backoff = new ReplicaBackoff(() => nowMs);
  const waits = Array.from({ length: 8 }, () => {
    backoff.met();
    nowMs += backoff.waitMs;
    return backoff.waitMs;
  });
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  nowMs += 15_001;
  expect(backoff.waitMs).toBe(0);
  backoff.met();
  expect(backoff.waitMs).toBe(100);
});
