import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureLog } from '../../testing/context.ts';
import { Health } from '../health.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import { createRegistry } from '../metrics.ts';
import { createHttp } from './http.ts';

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

describe('every answer', () => {
  const auth = { user: 'us', password: 'pw' };
  const headers = { authorization: `Basic ${Buffer.from('us:pw').toString('base64')}` };
  const expected = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

  it.each([
    '/healthz',
    '/readyz',
    '/metrics',
    '/nowhere',
    '/fails',
    '/caches',
    '/%zz',
    `/p/${'x'.repeat(200)}`,
  ])('is kept out of caches and has the type that it says: %s', async (url) => {
    const app = create(auth);
    app.get('/fails', () => {
      throw new Error('inner');
    });
    app.get('/caches', async (_request, reply) =>
      reply.header('cache-control', 'public, max-age=9').send('x'),
    );
    app.get('/p/:name', async () => 'x');
    expect((await app.inject({ url, headers })).headers).toMatchObject(expected);
    expect((await app.inject(url)).headers).toMatchObject(expected);
  });

  it('may only be cached if the name of the file has a hash of its content', async () => {
    const app = create();
    const value = 'public, max-age=31536000, immutable';
    app.get('/file.js', async (_request, reply) => reply.header('cache-control', value).send('x'));
    expect((await app.inject('/file.js')).headers['cache-control']).toBe(value);
  });

  it.each(['/%zz', '/metrics%', '/%c0%af', `/p/${'x'.repeat(200)}`])(
    'of a malformed path without a login is 401, and counts as any other: %s',
    async (url) => {
      const app = create(auth);
      app.get('/p/:name', async () => 'x');
      const reply = await app.inject(url);
      expect([reply.statusCode, reply.headers['www-authenticate']]).toEqual([
        401,
        expect.stringMatching(/^Basic realm/),
      ]);
      expect((await app.inject({ url, headers })).statusCode).toBeGreaterThanOrEqual(400);
      expect((await app.inject({ url, headers })).statusCode).toBeLessThan(500);
      expect((await app.inject({ url, headers })).statusCode).not.toBe(401);
      const wrong = { authorization: 'Basic dXM6eA==' };
      for (let n = 0; n < 10; n++) expect((await app.inject({ url, headers: wrong })).statusCode).toBe(401);
      expect((await app.inject({ url, headers: wrong })).statusCode).toBe(429);
    },
  );
});

describe('a request that changes something', () => {
  const write = async (method: 'POST' | 'PUT' | 'DELETE' | 'GET', headers: Record<string, string>) => {
    const app = create();
    app.route({ method: ['POST', 'PUT', 'DELETE', 'GET'], url: '/thing', handler: async () => 'done' });
    return (await app.inject({ method, url: '/thing', headers: { host: 'hm:1', ...headers } })).statusCode;
  };

  it.each([
    [{}],
    [{ origin: 'http://hm:1' }],
    [{ 'sec-fetch-site': 'same-origin' }],
    [{ 'sec-fetch-site': 'none' }],
  ])('is accepted with %j', async (headers) => {
    expect(await write('POST', headers)).toBe(200);
  });

  it.each([
    [{ origin: 'http://evil' }],
    [{ origin: 'http://hm:2' }],
    [{ origin: 'null' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site', origin: 'http://hm:1' }],
  ])('is refused with %j', async (headers) => {
    for (const method of ['POST', 'PUT', 'DELETE'] as const) expect(await write(method, headers)).toBe(403);
    expect(await write('GET', headers)).toBe(200);
  });
});
