import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { BusError } from '../../nats/bus-errors.ts';
import { startTestRedis } from '../../testing/redis/server.ts';
import { isConnectionError, problemLevel } from './connection-error.ts';

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A client that tries once and reports every failure. */
function client(port: number): Redis {
  const redis = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  redis.on('error', () => undefined);
  return redis;
}

describe('a connection error is', () => {
  test('what the client reports when nothing listens, and after the end of the connection', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as { port: number };
    free.close();
    await once(free, 'close');
    const redis = client(port);
    expect(isConnectionError(await errorOf(redis.connect()))).toBe(true);
    expect(isConnectionError(await errorOf(redis.ping()))).toBe(true);
    redis.disconnect();
  });

  test('what a command in progress gets when the connection is lost', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const redis = client((server.address() as { port: number }).port);
    const error = await errorOf(redis.ping());
    expect([isConnectionError(error), problemLevel(error)]).toEqual([true, 'debug']);
    redis.disconnect();
    server.close();
  });

  test.each([
    new BusError('disconnected', 'flush: not connected to NATS'),
    new BusError('timeout', 'x: no reply in time'),
    Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }),
  ])('%s', (error) => {
    expect(isConnectionError(error)).toBe(true);
  });
});

describe('no connection error is', () => {
  test('a reply about a key or a permission', async () => {
    const server = await startTestRedis();
    const redis = client(server.port);
    try {
      await redis.set('text', 'x');
      const wrongType = await errorOf(redis.hget('text', 'field'));
      expect([String(wrongType), problemLevel(wrongType)]).toEqual([
        expect.stringContaining('WRONGTYPE'),
        'warn',
      ]);
      await redis.call('ACL', 'SETUSER', 'default', '-hset');
      const forbidden = await errorOf(redis.hset('hash', 'field', '1'));
      expect([String(forbidden), problemLevel(forbidden)]).toEqual([
        expect.stringContaining('NOPERM'),
        'warn',
      ]);
    } finally {
      redis.disconnect();
      await server.stop();
    }
  });

  test.each([
    new BusError('other', 'x: permission violation'),
    new TypeError('x is not a function'),
    'text',
    undefined,
  ])('%s', (error) => {
    expect(isConnectionError(error)).toBe(false);
  });
});
