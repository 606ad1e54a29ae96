import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { connect, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { lockFolder } from '../../launcher/folder-lock.ts';
import { writePrivateServers } from '../../launcher/private-servers.ts';
import { freePort, type Server, startNatsServer, startRedisServer } from '../../launcher/servers.ts';
import { main } from '../program.ts';

let dir: string;
let redis: Server;
let nats: Server;
let controller: NatsConnection;
let api: HttpServer;
let page: { status: number; body: string };
let requests: (string | undefined)[];
let lines: string[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-check-'));
  redis = await startRedisServer({ dir: join(dir, 'redis') });
  nats = await startNatsServer();
  controller = await connect({ servers: nats.url });
  controller.subscribe('cloudcontroller.bulk.credentials.zone-2', {
    callback: (_error, message) => void message.respond('{"user":"bulk","password":"secret"}'),
  });
  await controller.flush();
  api = createServer((request, response) => {
    requests.push(request.url, request.headers.authorization);
    response.writeHead(page.status).end(page.body);
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  api.closeAllConnections();
  await new Promise((resolve) => api.close(resolve));
  await controller.close();
  await Promise.all([nats.stop(), redis.stop()]);
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  page = { status: 200, body: '{"results":{"a":{},"b":{}},"bulk_token":{"id":2}}' };
  requests = [];
  lines = [];
  vi.stubEnv('REDIS_URL', '');
  vi.stubEnv('MBUS_URI', '');
  vi.stubEnv('STATUS_USER', 'user');
  vi.stubEnv('STATUS_PASSWORD', 'password');
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    lines.push(String(text).trimEnd());
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function check(change: { redis?: string; mbus?: string; more?: string } = {}): Promise<number> {
  const file = join(dir, 'health_manager.yml');
  const { port } = api.address() as AddressInfo;
  const config = [
    'cc_partition: zone-2',
    change.mbus === 'none' ? '' : `mbus: ${change.mbus ?? nats.url}`,
    change.redis === 'none' ? '' : `redis: { url: "${change.redis ?? redis.url}" }`,
    `bulk_api: { host: "http://127.0.0.1:${port}", batch_size: 7 }`,
    change.more ?? '',
  ];
  writeFileSync(file, config.join('\n'));
  return main(['check', '--config', file]);
}

test('all checks succeed', async () => {
  expect(await check()).toBe(0);
  expect(lines).toEqual([
    expect.stringMatching(/^ok {6}configuration: .*health_manager\.yml$/),
    expect.stringMatching(/^ok {6}NATS: connected to 127\.0\.0\.1:\d+$/),
    expect.stringMatching(/^ok {6}Redis: version \d+\./),
    expect.stringMatching(/^ok {6}bulk API: http:\S+: a page of 2 droplets$/),
  ]);
  expect(requests).toEqual([
    '/bulk/apps?batch_size=7&bulk_token=%7B%7D',
    `Basic ${Buffer.from('bulk:secret').toString('base64')}`,
  ]);
});

test('a warning of the configuration is no failure', async () => {
  expect(await check({ more: 'slicess: 5' })).toBe(0);
  expect(lines[0]).toBe(
    'warning health_manager.yml: slicess: unknown key, ignored; the nearest known one is slices',
  );
});

test('a status page without a login is warned of', async () => {
  vi.stubEnv('STATUS_PASSWORD', '');
  expect(await check()).toBe(0);
  expect(lines[0]).toMatch(/^warning health_manager\.yml: status\.user: expected .*: nobody can log in/);
});

test('a Redis that may evict keys is warned of, and is no failure', async () => {
  const client = new Redis(redis.url);
  try {
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await check()).toBe(0);
    expect(lines).toContain(
      'warning Redis: may evict keys (maxmemory-policy allkeys-lru): set maxmemory-policy noeviction',
    );
  } finally {
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.quit();
  }
});

test('a droplet_lost that is too short for the observed heartbeats is warned of', async () => {
  const client = new Redis(redis.url);
  const [last, previous] = ['hm:{fleet}:deas:last_heartbeat', 'hm:{fleet}:deas:previous_heartbeat'];
  try {
    for (const dea of ['a', 'b', 'c']) {
      await client.zadd(previous, 1_000_000, dea);
      await client.zadd(last, 1_020_000, dea);
    }
    expect(await check()).toBe(0);
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^warning Redis: intervals\.droplet_lost: expected more than 2 .*\(20 s each.*got 30 s/,
      ),
    );
  } finally {
    await client.del(last, previous);
    await client.quit();
  }
});

test('Redis is not reachable', async () => {
  const port = await freePort();
  expect(await check({ redis: `redis://user:hidden@127.0.0.1:${port}` })).toBe(1);
  expect(lines[2]).toBe(`FAILED  Redis: connect ECONNREFUSED 127.0.0.1:${port}`);
  expect(lines.join()).not.toContain('hidden');
});

test('NATS is not reachable, so the bulk API is not checked', { timeout: 15_000 }, async () => {
  const port = await freePort();
  expect(await check({ mbus: `nats://user:hidden@127.0.0.1:${port}` })).toBe(1);
  expect(lines[1]).toMatch(new RegExp(`^FAILED {2}NATS: 127.0.0.1:${port}: .*REFUSED`));
  expect(lines[3]).toBe('FAILED  bulk API: not checked: its credentials come over NATS');
  expect(lines.join()).not.toContain('hidden');
});

test.each([
  [{ status: 401, body: '' }, 'answered with status 401'],
  [{ status: 200, body: '<html>' }, 'the page has no usable'],
  [{ status: 200, body: '{"results":[],"bulk_token":{}}' }, 'the page has no usable results'],
])('the bulk API answers %j', async (answer, problem) => {
  page = answer;
  expect(await check()).toBe(1);
  expect(lines[3]).toMatch(/^FAILED {2}bulk API: http:/);
  expect(lines[3]).toContain(problem);
});

describe('where every process would refuse to start with 78', () => {
  const layout = (fields: Record<string, string>) => async () => {
    const client = new Redis(redis.url);
    try {
      await client.hset('hm:{fleet}:layout', fields);
      expect(await check()).toBe(1);
    } finally {
      await client.del('hm:{fleet}:layout');
      await client.quit();
    }
    return lines[2];
  };

  test.each([
    [{ version: '1' }, /^FAILED {2}Redis: hm:\{fleet\}:layout: expected layout \d+, found 1: /],
    [
      { slices: '16' },
      'FAILED  Redis: slices: expected 16, with which this Redis was set up, found 256: set slices to 16',
    ],
    [
      { cc_partition: 'zone-1' },
      'FAILED  Redis: redis.prefix hm: expected cc_partition zone-1, for which this Redis was set up, found zone-2',
    ],
    [
      { controller: 'cc.example' },
      'FAILED  Redis: redis.prefix hm: expected bulk_api.host cc.example, for which this Redis was set up, found 127.0.0.1',
    ],
  ])('the check fails: %j', async (fields, problem) => {
    expect(await layout(fields)()).toMatch(problem);
  });

  test('the check stores nothing', async () => {
    const client = new Redis(redis.url);
    expect(await check()).toBe(0);
    expect(await client.keys('*')).toEqual([]);
    await client.quit();
  });
});

describe('without mbus', () => {
  test('and without a Redis, the private servers of hm start are meant: nothing else is asked', async () => {
    expect(await check({ mbus: 'none', redis: 'none' })).toBe(0);
    expect(lines.slice(1)).toEqual([
      'skipped NATS: none configured: "hm start" starts a private one',
      'skipped Redis: none configured: "hm start" starts a private one',
      'skipped bulk API: not checked: its credentials come over NATS',
    ]);
  });

  test('the private NATS of an hm start, which has a login, is checked; its password is not shown', async () => {
    const folder = join(dir, '.hm');
    const own = await startNatsServer({ dir: join(folder, 'nats'), password: 's3cret' });
    const release = lockFolder(folder);
    try {
      writePrivateServers(folder, { nats: own.url });
      await check({ mbus: 'none', redis: 'none' });
      expect(lines[1]).toBe(`ok      NATS: connected to 127.0.0.1:${own.port}`);
      expect(lines.join()).not.toContain('s3cret');
    } finally {
      release();
      await own.stop();
    }
  });

  test('the private servers of an hm start that runs beside the file are checked', async () => {
    const folder = join(dir, '.hm');
    const release = lockFolder(folder);
    try {
      writePrivateServers(folder, { redis: redis.url, nats: nats.url });
      expect(await check({ mbus: 'none', redis: 'none' })).toBe(0);
      expect(lines[1]).toBe(`ok      NATS: connected to 127.0.0.1:${nats.port}`);
      expect(lines[2]).toMatch(/^ok {6}Redis: version/);
      const client = new Redis(redis.url);
      await client.hset('hm:{fleet}:layout', { slices: '16', cc_partition: 'taken over at the next start' });
      lines = [];
      expect(await check({ mbus: 'none', redis: 'none' })).toBe(1);
      await client.del('hm:{fleet}:layout');
      await client.quit();
      expect(lines[2]).toMatch(/^FAILED {2}Redis: slices: expected 16/);
    } finally {
      release();
    }
  });
});
