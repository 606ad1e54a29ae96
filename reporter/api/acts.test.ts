import fastify from 'fastify';
import { Counter } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readHolds } from '../../common/redis/fleet/holds/holds.ts';
import { Health } from '../../common/runtime/health.ts';
import { droplet, NOW, SECOND, SETTINGS, slot } from '../../common/testing/builders.ts';
import { type Bench, STATUS, startBench, store } from '../../deploy/verify/fixtures/reporter.ts';
import { BusyError } from '../queries/shared-reads.ts';
import { addActs } from './acts.ts';

const READONLY = { user: 'viewer', password: 'may-look' };

let bench: Bench;
let base: string;

beforeAll(async () => {
  bench = await startBench(NOW, { ...STATUS, readonly: READONLY, userHeader: 'x-forwarded-user' });
  base = `http://127.0.0.1:${bench.reporter.port}`;
});
afterAll(() => bench.stop());
beforeEach(async () => {
  await bench.context.redis.client.del(bench.context.redis.keys.operatorHolds);
});

const basic = ({ user, password }: { user: string; password: string }) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

async function post(path: string, body?: object, headers: Record<string, string> = {}, login = STATUS) {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const reply = await fetch(base + path, {
    method: 'POST',
    headers: { ...basic(login), ...json, ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await reply.text();
  return { status: reply.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}
const holdsNow = async () =>
  (await readHolds(bench.context.redis, bench.clock, SETTINGS)).operatorHolds ?? [];
const lastEntry = async (slice: number) => {
  const { client, keys } = bench.context.redis;
  const [last] = await client.xrevrange(keys.decisions(slice), '+', '-', 'COUNT', 1);
  return JSON.parse(last?.[1][1] ?? '{}');
};
const get = async (path: string) =>
  (await fetch(base + path, { headers: basic(STATUS) })).json() as Promise<never>;

describe('pause and resume', () => {
  test('with the login as who did it', async () => {
    const placed = await post('/api/holds', { covers: 'stops', why: ' migration ', durationMs: 60_000 });
    expect(placed).toMatchObject({
      status: 201,
      body: { covers: 'stops', why: 'migration', by: 'operator' },
    });
    expect(await holdsNow()).toEqual([placed.body]);
    expect(await lastEntry(0)).toMatchObject({ act: 'hold', by: 'operator', covers: 'stops', droplet: '' });
    const fleet = (await get('/api/fleet')) as { holds: object[] };
    expect(fleet.holds).toContainEqual(
      expect.objectContaining({
        hold: 'operator',
        operator_holds: [expect.objectContaining({ by: 'operator' })],
      }),
    );
    const ended = await post(`/api/holds/operator/${placed.body.id}/end`);
    expect(ended).toMatchObject({ status: 200, body: { id: placed.body.id } });
    expect(await holdsNow()).toEqual([]);
    expect((await post(`/api/holds/operator/${placed.body.id}/end`)).status).toBe(404);
  });

  test('with the name that the proxy gives', async () => {
    await post('/api/holds', { covers: 'all', why: 'x' }, { 'x-forwarded-user': 'alice@example.com' });
    expect((await holdsNow())[0]?.by).toBe('alice@example.com');
  });

  test.each([
    [{}],
    [{ covers: 'starts' }],
    [{ covers: 'everything', why: 'x' }],
    [{ covers: 'starts', why: '  ' }],
    [{ covers: 'starts', why: 'x', droplet: 'a', dea: 'b' }],
    [{ covers: 'starts', why: 'x', droplet: 'a\u0000' }],
    [{ covers: 'starts', why: 'x', durationMs: 25 * 3600 * SECOND }],
    [{ covers: 'starts', why: 'x', by: 'somebody else' }],
  ])('a wrong request is refused: %j', async (body) => {
    expect((await post('/api/holds', body)).status).toBe(400);
    expect(await holdsNow()).toEqual([]);
  });

  test('at most a hundred', async () => {
    for (let n = 0; n < 100; n++)
      expect((await post('/api/holds', { covers: 'all', why: 'x' })).status).toBe(201);
    expect((await post('/api/holds', { covers: 'all', why: 'x' })).status).toBe(409);
    bench.clock.advance(3601 * SECOND);
    expect(await holdsNow()).toEqual([]);
    expect((await post('/api/holds', { covers: 'all', why: 'x' })).status).toBe(201);
    expect(await bench.context.redis.client.hlen(bench.context.redis.keys.operatorHolds)).toBe(1);
  });
});

describe('release', () => {
  test('shows what it does, and is requested', async () => {
    const { client, keys } = bench.context.redis;
    const path = '/api/holds/mass_loss/release';
    expect((await post(path)).status).toBe(409);
    await client.hset(keys.holds, 'mass_loss', JSON.stringify({ sinceMs: 1, lateDeas: ['a', 'b'] }));
    expect(await get(path)).toMatchObject({
      deas: 2,
      startsPerSecond: 40,
      text: expect.stringContaining('2 DEAs are silent. Releasing starts 0 instances'),
    });
    expect((await post(path)).status).toBe(202);
    expect(await client.hget(keys.holds, 'release_mass_loss')).toBe(String(bench.clock.nowMs()));
    expect(await lastEntry(0)).toMatchObject({ act: 'release', hold: 'mass_loss', by: 'operator' });
    expect((await post('/api/holds/operator/release')).status).toBe(404);
  });
});

test('sync now', async () => {
  expect((await post('/api/sync')).status).toBe(202);
  const { client, keys } = bench.context.redis;
  expect(await client.hget(keys.syncState, 'requested')).toBe(String(bench.clock.nowMs()));
});

test('retry of what is given up', async () => {
  const crashed = { crashes: 9, lastCrashMs: bench.clock.nowMs(), flapping: true };
  const { redis } = bench.context;
  await store(redis, droplet({ id: 'web', slots: [slot(crashed)] }));
  await store(redis, droplet({ id: 'fine' }));
  expect(await post('/api/retry', { droplet: 'web' })).toEqual({
    status: 202,
    body: { droplet: 'web', indices: [0] },
  });
  expect(await redis.client.hget(redis.keys.droplet('web'), 'retry:0')).toBe(String(bench.clock.nowMs()));
  expect((await post('/api/retry', { droplet: 'web', index: 1 })).status).toBe(409);
  expect((await post('/api/retry', { droplet: 'fine' })).status).toBe(409);
  expect((await post('/api/retry', { droplet: 'nope' })).status).toBe(404);
  expect((await post('/api/retry', { droplet: '' })).status).toBe(400);
});

describe('who may not act', () => {
  const ACTS = [
    '/api/holds',
    '/api/holds/mass_loss/release',
    '/api/holds/operator/x/end',
    '/api/sync',
    '/api/retry',
  ];

  test.each(ACTS)('%s: the read-only login, another site, nobody', async (path) => {
    const body = { covers: 'all', why: 'x' };
    expect((await post(path, body, {}, { ...STATUS, ...READONLY })).status).toBe(403);
    expect((await post(path, body, { origin: 'http://evil.example' })).status).toBe(403);
    expect((await post(path, body, {}, { ...STATUS, password: 'wrong' })).status).toBe(401);
    expect(await holdsNow()).toEqual([]);
  });

  test('the read-only login reads everything', async () => {
    for (const path of ['/api/fleet', '/metrics', '/varz', '/api/holds/mass_loss/release'])
      expect((await fetch(base + path, { headers: basic(READONLY) })).status).toBe(200);
  });

  test('acts are logged with who did it, and counted', async () => {
    expect(bench.context.lines).toContainEqual(
      expect.objectContaining({
        event: 'operator_act',
        act: 'hold',
        outcome: 'done',
        by: 'alice@example.com',
      }),
    );
    expect(bench.context.lines).toContainEqual(
      expect.objectContaining({ event: 'operator_act', act: 'sync', outcome: 'refused', by: 'viewer' }),
    );
    const text = await bench.context.metrics.metrics();
    expect(text).toMatch(/hm_operator_acts_total\{act="retry",outcome="refused"\} [1-9]/);
    expect(text).toMatch(/hm_operator_acts_total\{act="hold",outcome="done"\} [1-9]/);
  });
});

test('while too many droplets are being read a retry is answered 503, as a query is', async () => {
  const { log, redis, clock, settings } = bench.context;
  const app = fastify();
  const busy = { read: () => Promise.reject(new BusyError()) };
  const acts = new Counter({ name: 'acts', help: 'acts', labelNames: ['act', 'outcome'], registers: [] });
  const limits = { startsPerPeriod: 1, startsPeriodMs: SECOND };
  addActs({
    app,
    redis,
    clock,
    policy: settings.policy,
    log,
    health: new Health(),
    reader: busy,
    acts,
    limits,
  });
  const reply = await app.inject({ method: 'POST', url: '/api/retry', payload: { droplet: 'app' } });
  expect(reply.json()).toEqual({ error: new BusyError().message });
  expect(reply.statusCode).toBe(503);
  await app.close();
});
