import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { connect, type NatsConnection } from 'nats';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Health } from '../../runtime/health.ts';
import { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../../testing/context.ts';
import { startNats, type TestNats } from '../../testing/nats/server.ts';
import { checkClientInternals, socketOf } from './client-internals.ts';
import { connectBus } from './connect.ts';

interface Transport {
  socket: object;
}

const require = createRequire(import.meta.url);
const { NodeTransport } = require('nats/lib/src/node_transport.js') as {
  NodeTransport: { prototype: { connect(...args: unknown[]): Promise<void> } };
};
const { version } = require('nats/package.json') as { version: string };

let nats: TestNats;
beforeEach(async () => {
  nats = await startNats();
});
afterEach(() => nats.stop());

test('the installed client has its socket where this program expects it', async () => {
  const connection = await connect({ servers: nats.url });
  expect(socketOf(connection)).toBeInstanceOf(Socket);
  expect(() => checkClientInternals(connection)).not.toThrow();
  await connection.close();
});

describe('a client that has renamed its internals', () => {
  test.each([
    [{}, 'a Object without protocol (it has: )'],
    [{ protocol: { wire: 1 } }, 'a Object without transport (it has: wire)'],
    [{ protocol: { transport: { stream: new Socket() } } }, 'a Object without socket (it has: stream)'],
    [{ protocol: { transport: { socket: new Map() } } }, 'a Map there'],
  ])('is refused with its version, what was expected and what was found: %o', (connection, found) => {
    expect(() => checkClientInternals(connection as unknown as NatsConnection)).toThrow(
      `npm package nats ${version}: expected a net.Socket at connection.protocol.transport.socket, found ${found}. `,
    );
  });

  test('ends the start of a process instead of a retry without end', async () => {
    const original = NodeTransport.prototype.connect;
    const hideSocket = vi.spyOn(NodeTransport.prototype, 'connect').mockImplementation(async function (
      this: unknown,
      ...args: unknown[]
    ) {
      await original.apply(this as never, args);
      const transport = this as Transport;
      // Works as before, but is no net.Socket.
      transport.socket = new Proxy(transport.socket, {
        getPrototypeOf: () => Object.prototype,
        get: (socket, name) => {
          const value: unknown = Reflect.get(socket, name, socket);
          return typeof value === 'function' ? value.bind(socket) : value;
        },
      });
    });
    const lifecycle = new Lifecycle();
    const health = new Health();
    try {
      const mbus = { servers: [nats.url], tls: false };
      const { log } = captureLog();
      await expect(
        connectBus({ mbus, name: 'test', log, health, lifecycle, metrics: new Registry() }),
      ).rejects.toThrow(/expected a net\.Socket at connection\.protocol\.transport\.socket, found a /);
      expect(health.ready()).toBe(false);
    } finally {
      hideSocket.mockRestore();
      await lifecycle.stop();
    }
  });
});
