import { connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureLog, metricValue } from '../../testing/context.ts';
import { Health } from '../health.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import { createRegistry } from '../metrics.ts';
import { createHttp, listen, PortTakenError } from './http.ts';
import { KNOWN_FOR_MS } from './login-throttle.ts';

const HOST = '127.0.0.1';
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

describe('every process', () => {
  it('answers /healthz', async () => {
    health.set('redis', 'away');
    const reply = await create().inject('/healthz');
    expect([reply.statusCode, reply.body]).toEqual([200, 'ok']);
  });

  it('names in /readyz why it is not ready', async () => {
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

  it('shows warnings in /readyz and stays ready', async () => {
    const app = create();
    health.warn('redis', 'may evict keys');
    const reply = await app.inject('/readyz');
    expect([reply.statusCode, reply.body]).toEqual([200, 'ok\nwarning: redis: may evict keys\n']);
    health.warn('redis', undefined);
    expect((await app.inject('/readyz')).body).toBe('ok');
  });

  it('names addresses in /readyz only with the login', async () => {
    const problem = 'connect ECONNREFUSED 10.0.0.1:6379';
    const basic = (login: string) => ({ authorization: `Basic ${Buffer.from(login).toString('base64')}` });
    health.set('redis', problem);
    const bodies = async (app: FastifyInstance) => {
      const requests = [{}, basic('u:wrong'), basic('u:p:p')];
      return Promise.all(
        requests.map(async (headers) => (await app.inject({ url: '/readyz', headers })).body),
      );
    };
    const hidden = 'redis: connect ECONNREFUSED ***\n';
    expect(await bodies(create())).toEqual([hidden, hidden, hidden]);
    expect(await bodies(create({ user: 'u', password: 'p:p' }))).toEqual([
      hidden,
      hidden,
      `redis: ${problem}\n`,
    ]);
  });

  it('counts a wrong login at /readyz as a failed one', async () => {
    const app = create({ user: 'u', password: 'p' });
    health.set('redis', 'away');
    const headers = { authorization: `Basic ${Buffer.from('u:wrong').toString('base64')}` };
    for (let n = 0; n < 10; n++) expect((await app.inject({ url: '/readyz', headers })).statusCode).toBe(503);
    expect((await app.inject({ url: '/metrics', headers })).statusCode).toBe(429);
  });

  it('shows its metrics', async () => {
    const reply = await create().inject('/metrics');
    expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(reply.body).toMatch(/^process_cpu_seconds_total\{process="test"\} [0-9.]+$/m);
    expect(reply.body).toMatch(/^process_resident_memory_bytes\{process="test"\} [0-9.]+$/m);
  });

  it('hides the details of an internal error from the client', async () => {
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

describe('a connection', () => {
  const talk = (port: number, text: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = '';
      const socket = connect(port, HOST, () => socket.write(text));
      socket.on('data', (data) => (answer += data.toString()));
      socket.on('error', reject).on('close', () => resolve(answer));
    });

  it('whose request has no end gets 408 after a while', async () => {
    const app = create();
    app.post('/thing', async () => 'done');
    const port = await listen(app, HOST, 0);
    const beginMs = performance.now();
    const head =
      'POST /thing HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nabc';
    const answer = await talk(port, head);
    expect(performance.now() - beginMs).toBeLessThan(13_000);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('cache-control: no-store\r\nx-content-type-options: nosniff\r\n');
  }, 20_000);

  it('with something else than HTTP gets 400', async () => {
    const port = await listen(create(), HOST, 0);
    const answer = await talk(port, 'hello\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncache-control: no-store\r\n/);
  });
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

describe('a port', () => {
  it('that is in use is named in the error', async () => {
    const port = await listen(create(), HOST, 0);
    expect(port).toBeGreaterThan(0);
    const second = listen(create(), HOST, port);
    await expect(second).rejects.toThrow(`port ${port} on 127.0.0.1 is not available: it is in use`);
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
