import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import { droplet, instance, NOW, slot } from '../../common/testing/builders.ts';
import { type Bench, STATUS, startBench, store, until } from '../../deploy/verify/fixtures/reporter.ts';

let bench: Bench;
let base: string;

beforeAll(async () => {
  bench = await startBench(NOW);
  base = `http://127.0.0.1:${bench.reporter.port}`;
});

afterAll(() => bench.stop());

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

async function get(
  path: string,
  headers: Record<string, string> = basic(STATUS.user, STATUS.password),
  method = 'GET',
) {
  const reply = await fetch(base + path, { headers, method });
  const body = await reply.text();
  return { status: reply.status, body, json: () => JSON.parse(body) };
}

describe('auth', () => {
  test.each([
    ['/healthz', 200],
    ['/readyz', 200],
    ['/', 401],
    ['/varz', 401],
    ['/metrics', 401],
    ['/api', 401],
    ['/api/fleet', 401],
    ['/api/live', 401],
    ['/api/stories/app', 401],
    ['/api/deas/dea', 401],
    ['/assets/', 401],
    ['/api/droplets/app', 401],
    ['/no/such/path', 401],
    ['/healthz/', 401],
    ['//healthz', 401],
    ['/HEALTHZ', 401],
  ])('%s without a password: %i', async (path, status) => {
    expect((await get(path, {})).status).toBe(status);
  });

  test.each([
    [STATUS.user, 'wrong'],
    ['wrong', STATUS.password],
    ['', ''],
  ])('%s:%s is refused', async (user, password) => {
    expect((await get('/varz', basic(user, password))).status).toBe(401);
  });

  test('other methods need the password too', async () => {
    expect((await get('/varz', {}, 'POST')).status).toBe(401);
    expect((await get('/api/fleet', {}, 'HEAD')).status).toBe(401);
  });
});

test('404 is JSON', async () => {
  for (const path of [
    '/no/such/path',
    '/api/nothing',
    '/api/droplets/nobody',
    '/api/stories/nobody',
    '/api/deas/nobody',
    '/api/droplets/',
    `/api/droplets/${'x'.repeat(300)}`,
  ]) {
    const reply = await get(path);
    expect([path, reply.status, reply.json()]).toEqual([path, 404, { error: 'not found' }]);
  }
  expect((await get('/varz', undefined, 'POST')).status).toBe(404);
});

test('every path of the index exists', async () => {
  const { paths } = (await get('/api')).json() as { paths: Record<string, string> };
  // The stream of events ends only when its reader disconnects.
  const read = Object.entries(paths).filter(
    ([name, what]) => !name.includes('<') && !what.startsWith('POST'),
  );
  for (const [path] of read.filter(([name]) => name !== '/api/live')) {
    expect([path, (await get(path)).status]).toEqual([path, 200]);
  }
});

describe('/api/droplets', () => {
  test('the whole record, for any id', async () => {
    const { redis } = bench.context;
    const ids = ['app', '__proto__', 'a/b?c#d%', 'ü'.repeat(120)];
    for (const id of ids) {
      await store(redis, droplet({ id, instances: [instance('i1')] }));
      const reply = await get(`/api/droplets/${encodeURIComponent(id)}`);
      expect(reply.json()).toMatchObject({
        droplet: id,
        versions: { v1: { instances: { i1: { index: 0 } } } },
      });
    }
  });

  test('a record that cannot be read is an error, not a 404', async () => {
    const { client, keys } = bench.context.redis;
    await client.hset(keys.droplet('spoilt'), 'desired', 'as I like it');
    expect((await get('/api/droplets/spoilt')).status).toBe(500);
  });
});

test('the password is neither sent over HTTP nor logged', async () => {
  await store(bench.context.redis, droplet({ id: 'app', slots: [slot({ crashes: 1 })] }));
  for (const path of ['/', '/varz', '/metrics', '/api/fleet', '/api/droplets/app', '/readyz', '/none']) {
    expect((await get(path)).body).not.toContain(STATUS.password);
  }
  await get('/varz', basic(STATUS.user, `${STATUS.password}x`));
  expect(JSON.stringify(bench.context.lines)).not.toContain(STATUS.password);
});

describe('component registration', () => {
  test('each reporter answers discovery requests', async () => {
    const found = (await bench.bus.request(SUBJECTS.discover, '', { timeoutMs: 5_000 })).json() as {
      uuid: string;
    };
    expect(found).toEqual({
      type: 'HealthManager',
      index: 3,
      uuid: expect.stringMatching(/^3-[0-9a-f-]{36}$/),
      host: `127.0.0.1:${bench.reporter.port}`,
      credentials: [STATUS.user, STATUS.password],
      start: '2014-05-13 16:53:20 +0000',
      uptime: '0d:0h:0m:0s',
    });
    expect((await get('/varz')).json().uuid).toBe(found.uuid);
  });

  test('a request without a reply subject is ignored', async () => {
    bench.bus.publish(SUBJECTS.discover, '');
    await bench.bus.request(SUBJECTS.discover, 'anything', { timeoutMs: 5_000 });
    expect(bench.context.lines.filter(({ level }) => Number(level) >= 50)).toEqual([
      expect.objectContaining({ event: 'http_request_failed' }), // the unreadable record above
    ]);
  });
});

// The last test, because it stops Redis.
test('without Redis it answers 503 at once, and keeps running', async () => {
  await bench.redis.stop();
  await until(async () => !bench.context.health.ready());
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(503);
  for (const path of ['/varz', '/api/fleet', '/api/droplets/app']) {
    const reply = await get(path);
    expect([reply.status, reply.json().error]).toEqual([503, expect.stringContaining('Redis')]);
  }
  const metrics = await get('/metrics');
  expect(metrics.status).toBe(200);
  expect(metrics.body).not.toContain('hm_fleet{');
});
