import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import type { RedisSettings } from '../config/settings.ts';
import type { RedisClient } from '../redis/scripts/scripts.ts';

/** A real redis-server of a test file's own, on a free loopback port, without persistence. */
export interface TestRedis {
  /** `redis://127.0.0.1:<port>` */
  url: string;
  port: number;
  pid: number;
  /** Ends it and removes its folder. Safe to call again. */
  stop(): Promise<void>;
}

/** Where a health manager under test has its data: one server, or a cluster. */
export interface RedisUnderTest {
  settings: RedisSettings;
  /** Of every server that holds data. */
  urls: readonly string[];
  stop(): Promise<void>;
}

/** Empties every server that the client knows. */
export async function emptyRedis(client: RedisClient): Promise<void> {
  await (client instanceof Cluster
    ? Promise.all(client.nodes('master').map((node) => node.flushall()))
    : client.flushall());
}

/** Another program may take a port between our finding it free and the server's having it. */
const TRIES = 5;

/**
 * Starts redis-server and waits until it accepts connections.
 *
 * @param port to start one again where another was (a Redis that comes back without its data)
 * @param more of redis-server's options; `--tls` instead of a port without it
 * @throws Error with the server's own words when it does not start
 */
export async function startTestRedis(port?: number, more: readonly string[] = []): Promise<TestRedis> {
  let problem = '';
  for (let tries = 0; tries < (port === undefined ? TRIES : 1); tries++) {
    const at = port ?? (await freePort());
    const dir = mkdtempSync(join(tmpdir(), 'hm-test-redis-'));
    const tls = more.includes('--tls');
    const ports = tls ? ['--port', '0', '--tls-port', `${at}`] : ['--port', `${at}`];
    const options = more.filter((option) => option !== '--tls');
    const args = [
      ...ports,
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--appendonly',
      'no',
      ...options,
    ];
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const killed = () => child.kill('SIGKILL');
    process.once('exit', killed);
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const started = await serves(child);
    let stopped: Promise<void> | undefined;
    const stop = async () => {
      child.kill('SIGKILL'); // nothing to be saved
      await ended;
      process.off('exit', killed);
      rmSync(dir, { recursive: true, force: true });
    };
    if (started === true && child.pid !== undefined) {
      return { url: `redis://127.0.0.1:${at}`, port: at, pid: child.pid, stop: () => (stopped ??= stop()) };
    }
    problem = String(started);
    await stop();
  }
  throw new Error(`redis-server did not start: ${problem}`);
}

/** A loopback port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** True when it says that it is ready; otherwise what it said before it ended. */
function serves(child: ChildProcess): Promise<true | string> {
  return new Promise((resolve) => {
    let said = '';
    const hear = (data: Buffer) => {
      said = `${said}${data}`.slice(-2000);
      if (said.includes('Ready to accept connections')) resolve(true);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(said));
  });
}
