import { connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { captureLog } from '../../testing/context.ts';
import { Health } from '../health.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import { createRegistry } from '../metrics.ts';
import { createHttp, listen, PortTakenError } from './http.ts';

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
