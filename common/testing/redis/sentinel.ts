import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisSettings } from '../../config/settings.ts';
import { freePort, startTestRedis, type TestRedis } from './server.ts';

const NAME = 'hm';
const WATCHED_WITHIN_MS = 20_000;

/** A master with a replica, and three sentinels that monitor them, all on free loopback ports. */
export interface TestSentinels {
  settings: RedisSettings;
  master: TestRedis;
  replica: TestRedis;
  stop(): Promise<void>;
}

/** @param downAfterMs silence after which a master counts as down */
export async function startTestSentinels({ downAfterMs = 1_000 } = {}): Promise<TestSentinels> {
  const ends: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const master = await startTestRedis();
    ends.push(() => master.stop());
    const replica = await startTestRedis(undefined, ['--replicaof', '127.0.0.1', `${master.port}`]);
    ends.push(() => replica.stop());
    const ports: number[] = [];
    for (let n = 0; n < 3; n++) {
      const port = await freePort();
      ends.push(await startSentinel(port, master.port, downAfterMs));
      ports.push(port);
    }
    await Promise.all(ports.map(knowsAll));
    const nodes = ports.map((port) => `redis://127.0.0.1:${port}`);
    return { settings: { kind: 'sentinel', name: NAME, nodes }, master, replica, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @returns a function that ends it */
async function startSentinel(
  port: number,
  master: number,
  downAfterMs: number,
): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-test-sentinel-'));
  const file = join(dir, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${master} 2`,
    `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${NAME} 5000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child: ChildProcess = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  return async () => {
    killed();
    await ended;
    process.off('exit', killed);
    rmSync(dir, { recursive: true, force: true });
  };
}

/** Waits until the sentinel sees the master, its replica and the two other sentinels. */
async function knowsAll(port: number): Promise<void> {
  const sentinel = new Redis(port, '127.0.0.1', { enableReadyCheck: false, retryStrategy: () => 50 });
  sentinel.on('error', () => undefined); // not up yet
  try {
    const giveUpMs = performance.now() + WATCHED_WITHIN_MS;
    for (;;) {
      const flat = (await sentinel.call('SENTINEL', 'MASTER', NAME)) as string[];
      const field = (name: string) => flat[flat.indexOf(name) + 1];
      if (field('num-slaves') === '1' && field('num-other-sentinels') === '2' && field('flags') === 'master')
        return;
      if (performance.now() > giveUpMs)
        throw new Error(`the sentinels do not find each other: ${flat.join(' ')}`);
      await delay(50);
    }
  } finally {
    sentinel.disconnect();
  }
}
