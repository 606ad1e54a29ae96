import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureLog, metricValue } from '../../testing/context.ts';
import { Health } from '../health.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import { createRegistry } from '../metrics.ts';
import { createHttp } from './http.ts';
import { KNOWN_FOR_MS } from './login-throttle.ts';

let lifecycle: Lifecycle;
let health: Health;
const { log, lines } = captureLog();

beforeEach(() => {
  lifecycle = new Lifecycle();
  health = new Health();
  lines.length = 0;
  nowMs = 0;
});

afterEach(() => lifecycle.stop());
let nowMs = 0;

const create = (auth?: { user: string; password: string }): FastifyInstance =>
  createHttp({
    lifecycle,
    log,
    health,
    metrics: createRegistry('test'),
    nowMs: () => nowMs,
    ...(auth === undefined ? {} : { auth }),
  });

describe('with a password', () => {
  const login = (user: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });
  const app = () => {
    const created = create({ user: 'us', password: 'p:w' });
    created.get('/private', async () => 'hidden');
    return created;
  };

  it.each(['/healthz', '/readyz', '/healthz?x=1'])('%s needs no login', async (url) => {
    expect((await app().inject(url)).statusCode).toBe(200);
  });

  it.each([
    '/metrics',
    '/private',
    '/nowhere',
    '/',
    '/healthz/',
    '/healthz/../private',
    '//healthz',
    '/private?/healthz',
  ])('%s needs a login', async (url) => {
    const reply = await app().inject(url);
    expect(reply.statusCode).toBe(401);
    expect(reply.headers['www-authenticate']).toMatch(/^Basic realm="health manager"/);
  });

  it.each([
    ['POST', '/healthz'],
    ['OPTIONS', '/private'],
    ['HEAD', '/private'],
  ] as const)('nor is %s %s', async (method, url) => {
    expect((await app().inject({ method, url })).statusCode).toBe(401);
  });

  it.each([
    ['us', 'wrong'],
    ['wrong', 'p:w'],
    ['us', ''],
    ['', ''],
    ['us', 'p'],
  ])('%s with %s is refused', async (user, password) => {
    expect((await app().inject({ url: '/private', headers: login(user, password) })).statusCode).toBe(401);
  });

  it.each(['', 'Basic', 'Basic ???', 'Bearer x'])('the header "%s" is refused', async (authorization) => {
    expect((await app().inject({ url: '/private', headers: { authorization } })).statusCode).toBe(401);
  });

  it('the right login has access to everything', async () => {
    const created = app();
    const headers = login('us', 'p:w');
    expect((await created.inject({ url: '/private', headers })).body).toBe('hidden');
    expect((await created.inject({ url: '/metrics', headers })).statusCode).toBe(200);
    expect((await created.inject({ url: '/nowhere', headers })).statusCode).toBe(404);
  });

  it('routes that are added later are protected, too', async () => {
    const created = app();
    created.register(async (scope) => {
      scope.get('/plugin', async () => 'hidden');
    });
    expect((await created.inject('/plugin')).statusCode).toBe(401);
  });
});

describe('a client with failed logins', () => {
  const basic = (password: string) => `Basic ${Buffer.from(`us:${password}`).toString('base64')}`;
  const from = (
    app: FastifyInstance,
    remoteAddress: string,
    password: string | undefined,
    url = '/metrics',
  ) =>
    app
      .inject({
        url,
        remoteAddress,
        headers: password === undefined ? {} : { authorization: basic(password) },
      })
      .then(({ statusCode }) => statusCode);
  const locked = async (address = '192.0.2.1') => {
    const app = create({ user: 'us', password: 'pw' });
    for (let n = 0; n < 10; n++) expect(await from(app, address, `guess ${n}`)).toBe(401);
    return app;
  };

  it('must wait for the rest of a minute after ten of them, even with the right password', async () => {
    const app = await locked();
    const reply = await app.inject({
      url: '/metrics',
      remoteAddress: '192.0.2.1',
      headers: { authorization: basic('pw') },
    });
    expect([reply.statusCode, reply.headers['retry-after']]).toEqual([429, '60']);
    nowMs += 59_999;
    expect(await from(app, '192.0.2.1', 'pw')).toBe(429);
    nowMs += 1;
    expect(await from(app, '192.0.2.1', 'pw')).toBe(200);
  });

  it('does not lock out other addresses, nor its own health checks', async () => {
    const app = await locked();
    expect(await from(app, '192.0.2.2', 'pw')).toBe(200);
    expect(await from(app, '192.0.2.1', undefined, '/healthz')).toBe(200);
  });

  it('cannot continue from a neighbouring IPv6 address', async () => {
    const app = await locked('2001:db8::1');
    expect(await from(app, '2001:db8::2:3', 'pw')).toBe(429);
    expect(await from(app, '2001:db8:0:1::1', 'pw')).toBe(200);
  });

  it('does not lock out who has logged in rightly from the same address before, e.g. behind the same proxy', async () => {
    const app = create({ user: 'us', password: 'pw' });
    const scraper = (password: string) =>
      app
        .inject({
          url: '/metrics',
          remoteAddress: '192.0.2.1',
          headers: { authorization: basic(password), 'user-agent': 'Prometheus' },
        })
        .then(({ statusCode }) => statusCode);
    expect(await scraper('pw')).toBe(200);
    for (let n = 0; n < 30; n++) await from(app, '192.0.2.1', `guess ${n}`);
    expect(await from(app, '192.0.2.1', 'pw')).toBe(429); // another client: it may be the attacker
    expect(await scraper('pw')).toBe(200);
    expect(await scraper('guess')).toBe(429);
    nowMs += KNOWN_FOR_MS;
    for (let n = 0; n < 10; n++) await from(app, '192.0.2.1', `guess ${n}`);
    expect(await scraper('pw')).toBe(429); // not seen for a day
  });

  it('is also stopped when it guesses from many addresses, but nobody who was logged in before', async () => {
    const app = create({ user: 'us', password: 'pw' });
    expect(await from(app, '198.51.100.1', 'pw')).toBe(200);
    for (let n = 0; n < 100; n++) expect(await from(app, `192.0.2.${n}`, 'guess')).toBe(401);
    expect(await from(app, '203.0.113.1', 'guess')).toBe(429);
    expect(await from(app, '203.0.113.1', 'pw')).toBe(429);
    expect(await from(app, '198.51.100.1', 'pw')).toBe(200);
    nowMs += 60_000;
    expect(await from(app, '203.0.113.1', 'pw')).toBe(200);
  });

  it('is counted, and logged with its address and without what it tried', async () => {
    const metrics = createRegistry('test');
    const auth = { user: 'us', password: 'pw' };
    const app = createHttp({ lifecycle, log, health, metrics, auth, nowMs: () => nowMs });
    const counts = async () => [
      await metricValue(metrics, 'hm_http_failed_logins_total', { reason: 'wrong' }),
      await metricValue(metrics, 'hm_http_failed_logins_total', { reason: 'throttled' }),
    ];
    expect(await counts()).toEqual([0, 0]);
    for (let n = 0; n < 12; n++) await from(app, '192.0.2.1', 'guess');
    expect(await counts()).toEqual([10, 2]);
    expect(lines).toMatchObject([{ event: 'login_failed', address: '192.0.2.1' }]);
    expect(JSON.stringify(lines)).not.toMatch(/guess|"us"/);
  });

  it('is not locked by requests without a login', async () => {
    const app = create({ user: 'us', password: 'pw' });
    for (let n = 0; n < 20; n++) expect(await from(app, '192.0.2.1', undefined)).toBe(401);
    expect(await from(app, '192.0.2.1', 'pw')).toBe(200);
  });
});
