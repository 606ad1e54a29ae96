import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { connect } from 'nats';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Exit, Instance, Outcome, PendingStop, Slot } from '../../../common/model/droplet.ts';
import { encodeExit, encodeInstance } from '../../../common/redis/records/record-codec.ts';
import { findProgram, requireProgram } from './find-program.ts';
import { isAlive } from './process-table.ts';
import { freePort, type Server, startNatsServer, startRedisServer } from './servers.ts';
import { UnavailableError } from './unavailable-error.ts';

let dir: string;
const started: Server[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-servers-'));
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
  rmSync(dir, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

async function running(server: Promise<Server>): Promise<Server> {
  started.push(await server);
  return server;
}

async function withRedis<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

test('redis-server is ready, uses our configuration, and keeps its data over a restart', async () => {
  const first = await running(startRedisServer({ dir }));
  await withRedis(first.url, async (client) => {
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    await client.set('colour', 'green');
  });
  await first.stop();
  expect(isAlive(first.pid)).toBe(false);

  const second = await running(startRedisServer({ dir, port: first.port }));
  expect(second.url).toBe(first.url);
  await withRedis(second.url, async (client) => expect(await client.get('colour')).toBe('green'));
});

test('servers with a password refuse clients without it, and it is readable for this user only', async () => {
  const password = 'f00d'.repeat(8);
  const redis = await running(startRedisServer({ dir, password }));
  const nats = await running(startNatsServer({ dir, password }));
  await withRedis(redis.url, async (client) => expect(await client.set('colour', 'green')).toBe('OK'));
  await withRedis(`redis://127.0.0.1:${redis.port}`, async (client) => {
    await expect(client.get('colour')).rejects.toThrow('NOAUTH');
  });
  await expect(connect({ servers: `127.0.0.1:${nats.port}`, reconnect: false })).rejects.toThrow(
    'Authorization',
  );
  const login = { servers: `127.0.0.1:${nats.port}`, user: 'hm', pass: password };
  await (await connect(login)).close();
  for (const { pid } of [redis, nats])
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password);
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  expect(files).toContain('redis-login.conf');
  for (const name of files) expect([name, statSync(join(dir, name)).mode & 0o077]).toEqual([name, 0]);
});

test('redis-server keeps the largest usual record as a listpack', async () => {
  const guid = (n: number) => `0d5e6a41-7c1c-4c1e-9d0a-${String(n).padStart(12, '0')}`;
  const [droplet, version, instance, dea, nowMs] = [
    guid(1),
    guid(2),
    guid(3),
    `127-${guid(4)}`,
    1_795_707_666_702,
  ];
  const exit: Exit = {
    instance,
    index: 0,
    version,
    reason: 'CRASHED',
    atMs: nowMs,
    n: 1,
    crashTimestampS: 1,
  };
  const slot: Slot = {
    index: 0,
    version,
    crashes: 3,
    lastCrashMs: nowMs,
    flapping: true,
    start: {
      id: `${droplet}.start-0.12-mwsfyro8`,
      reason: 'flapping',
      priority: 'normal',
      decidedMs: nowMs,
      dueMs: nowMs,
    },
    held: 'desired_unavailable',
    heldFor: 'evacuated',
  };
  const stop: PendingStop = {
    instance,
    id: `${droplet}.stop-${instance}.12-mwsfyro8`,
    reason: 'evacuation_complete',
    decidedMs: nowMs,
    held: 'desired_unavailable',
  };
  const outcome: Outcome = {
    id: stop.id,
    outcome: 'dropped',
    atMs: nowMs,
    why: 'update_required',
    by: 'mwsfyro8',
  };
  const listed: Instance = {
    guid: instance,
    index: 0,
    version,
    state: 'RUNNING',
    stateTimestampS: nowMs / 1000,
    dea,
    firstListedMs: nowMs,
    lastListedMs: nowMs,
  };
  const server = await running(startRedisServer({ dir }));
  await withRedis(server.url, async (client) => {
    await client.hset('record', {
      'slot:0': JSON.stringify(slot),
      [`stop:${instance}`]: JSON.stringify(stop),
      [`outcome:${stop.id}`]: JSON.stringify(outcome),
      [`exit:${instance}`]: encodeExit(exit),
      [`instance:${instance}`]: encodeInstance(listed),
    });
    expect(await client.object('ENCODING', 'record')).toBe('listpack');
  });
});

test('nats-server is ready', async () => {
  const server = await running(startNatsServer({ dir }));
  const client = await connect({ servers: server.url });
  await client.flush();
  await client.close();
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
  expect(readFileSync(join(dir, 'nats-server.log'), 'utf8')).toContain('Server is ready');
});

test('exited resolves when a server dies', async () => {
  const server = await running(startNatsServer());
  process.kill(server.pid, 'SIGKILL');
  expect(await server.exited).toBe(null);
});

test('servers started together get different ports', async () => {
  const servers = await Promise.all([startNatsServer(), startNatsServer(), startNatsServer()]);
  started.push(...servers);
  expect(new Set(servers.map(({ port }) => port)).size).toBe(3);
});

test('a taken port is named in the error', async () => {
  const port = await freePort();
  const other = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  await once(other, 'listening');
  try {
    await expect(startRedisServer({ dir, port })).rejects.toThrow(
      `redis-server: did not start: port ${port} is taken`,
    );
    await expect(startNatsServer({ port })).rejects.toThrow(UnavailableError);
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test('another server on the port does not count as ours', async () => {
  const other = await running(startRedisServer({ dir: join(dir, 'a') }));
  await expect(startRedisServer({ dir: join(dir, 'b'), port: other.port })).rejects.toThrow('is taken');
  const nats = await running(startNatsServer());
  await expect(startNatsServer({ port: nats.port })).rejects.toThrow('is taken');
});

test('the error shows the last lines of the log of a server that does not start', async () => {
  await expect(startRedisServer({ dir, configFile: '/does/not/exist.conf' })).rejects.toThrow(
    /exit code 1.*exist\.conf/,
  );
});

test('programs are found on the PATH and in the usual folders', async () => {
  expect(findProgram('no-such-program-anywhere')).toBe(undefined);
  expect(findProgram('sh', '')).toBe(undefined);
  expect(findProgram('sh', '/nowhere:/bin')).toBe('/bin/sh');
  expect(requireProgram('redis-server')).toMatch(/^\/.*redis-server$/);
});

test('an aborted signal ends the start of a server', async () => {
  const aborted = AbortSignal.abort(new Error('aborted'));
  await expect(startRedisServer({ dir, signal: aborted })).rejects.toThrow('aborted');
});
