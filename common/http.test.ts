import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Health } from './health.ts';
import { createHttp, listen, PortTakenError } from './http.ts';
import { Lifecycle } from './lifecycle.ts';
import { createRegistry } from './metrics.ts';
import { captureLog } from './testing/context.ts';

const HOST = '127.0.0.1';
let lifecycle: Lifecycle;
let health: Health;
const { log, lines } = captureLog();

beforeEach(() => {
  lifecycle = new Lifecycle();
  health = new Health();
  lines.length = 0;
});
afterEach(() => lifecycle.stop());

const create = (auth?: { user: string; password: string }): FastifyInstance =>
  createHttp({
    lifecycle,
    log,
    health,
    metrics: createRegistry('test'),
    ...(auth === undefined ? {} : { auth }),
  });

describe('every process', () => {
  it('says that it lives', async () => {
    health.set('redis', 'away');
    const reply = await create().inject('/healthz');
    expect([reply.statusCode, reply.body]).toEqual([200, 'ok']);
  });

  it('says why it is not ready', async () => {
    const app = create();
    expect((await app.inject('/readyz')).statusCode).toBe(200);
    health.set('redis', 'away');
    health.set('nats', 'lost');
    const reply = await app.inject('/readyz');
    expect([reply.statusCode, reply.body]).toEqual([503, 'redis: away\nnats: lost\n']);
    health.set('redis', undefined);
    health.set('nats', undefined);
    expect((await app.inject('/readyz')).body).toBe('ok');
    expect(health.ready()).toBe(true);
  });

  it('shows its metrics', async () => {
    const reply = await create().inject('/metrics');
    expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(reply.body).toMatch(/^process_cpu_seconds_total\{process="test"\} [0-9.]+$/m);
    expect(reply.body).toMatch(/^process_resident_memory_bytes\{process="test"\} [0-9.]+$/m);
  });

  it('keeps its errors to itself', async () => {
    const app = create();
    app.get('/fails', () => {
      throw new Error('inner secret');
    });
    const reply = await app.inject('/fails');
    expect([reply.statusCode, reply.body]).toEqual([500, 'internal error\n']);
    expect(lines).toMatchObject([{ path: '/fails', err: { message: 'inner secret' } }]);
    expect((await app.inject('/nowhere')).statusCode).toBe(404);
  });
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

  it.each(['/healthz', '/readyz', '/healthz?x=1'])('%s is open', async (url) => {
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
  ])('%s is not', async (url) => {
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
  ])('%s with %s is turned away', async (user, password) => {
    expect((await app().inject({ url: '/private', headers: login(user, password) })).statusCode).toBe(401);
  });

  it.each(['', 'Basic', 'Basic ???', 'Bearer x'])('the header "%s" is turned away', async (authorization) => {
    expect((await app().inject({ url: '/private', headers: { authorization } })).statusCode).toBe(401);
  });

  it('the right login sees all', async () => {
    const created = app();
    const headers = login('us', 'p:w');
    expect((await created.inject({ url: '/private', headers })).body).toBe('hidden');
    expect((await created.inject({ url: '/metrics', headers })).statusCode).toBe(200);
    expect((await created.inject({ url: '/nowhere', headers })).statusCode).toBe(404);
  });

  it('what is registered later is protected too', async () => {
    const created = app();
    created.register(async (scope) => {
      scope.get('/plugin', async () => 'hidden');
    });
    expect((await created.inject('/plugin')).statusCode).toBe(401);
  });
});

describe('a port', () => {
  it('that is taken is named', async () => {
    const port = await listen(create(), HOST, 0);
    expect(port).toBeGreaterThan(0);
    const second = listen(create(), HOST, port);
    await expect(second).rejects.toThrow(`port ${port} on 127.0.0.1 is not to be had: it is taken`);
    await expect(second).rejects.toBeInstanceOf(PortTakenError);
  });

  it('is free again after the stop, even when someone holds a connection', async () => {
    const port = await listen(create(), HOST, 0);
    const reply = await fetch(`http://${HOST}:${port}/healthz`);
    expect(await reply.text()).toBe('ok');
    await lifecycle.stop();
    lifecycle = new Lifecycle();
    expect(await listen(create(), HOST, port)).toBe(port);
  });
});
