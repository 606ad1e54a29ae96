import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import type { RedisSettings } from '../../config/settings.ts';
import type { RedisClient } from '../../redis/scripts/scripts.ts';

/** A real redis-server for one test file, on a free loopback port, without persistence. */
export interface TestRedis {
  /** `redis://127.0.0.1:<port>` */
  url: string;
  port: number;
  pid: number;
  /** Ends it and removes its folder. Safe to call again. */
  stop(): Promise<void>;
}

/** The Redis of a health manager under test: one server, or a cluster. */
export interface RedisUnderTest {
  settings: RedisSettings;
  /** The URLs of all servers with data. */
  urls: readonly string[];
  stop(): Promise<void>;
}

/** Removes all data of every server that the client knows. */
export async function emptyRedis(client: RedisClient): Promise<void> {
  await (client instanceof Cluster
    ? Promise.all(client.nodes('master').map((node) => node.flushall()))
    : client.flushall());
}

/** How often a start is tried: another program may take a port between the check that it is free and its use. */
const TRIES = 5;

/**
 * Starts redis-server and waits until it accepts connections.
 *
 * @param port to replace another server (a Redis that comes back without its data); else a free one
 * @param more further options of redis-server; with `--tls` its port accepts only TLS
 * @throws Error with the output of redis-server when it does not start
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
    const started = await untilReady(child);
    let stopped: Promise<void> | undefined;
    const stop = async () => {
      child.kill('SIGKILL'); // it keeps no data
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

/** A loopback port on which no program listens at this moment. */
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

/** True once the server is ready; its output if it ended before. */
function untilReady(child: ChildProcess): Promise<true | string> {
  return new Promise((resolve) => {
    let output = '';
    const onOutput = (data: Buffer) => {
      output = `${output}${data}`.slice(-2000);
      if (output.includes('Ready to accept connections')) resolve(true);
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(output));
  });
}
