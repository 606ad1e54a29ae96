import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from '../../runtime/health.ts';
import { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../../testing/context.ts';
import { startNats, type TestNats } from '../../testing/nats/server.ts';
import { freePort } from '../../testing/redis/server.ts';
import type { Bus } from '../bus.ts';
import { knownServers } from './client-internals.ts';
import { connectBus } from './connect.ts';
import { ReconnectOrder } from './reconnect-order.ts';

/** The servers of a cluster give their clients each other's addresses. Here one advertises an address that cannot be reached. */
let lifecycle: Lifecycle;
let nats: TestNats;
let ends: (() => Promise<unknown>)[];
const { log } = captureLog();

beforeEach(() => {
  lifecycle = new Lifecycle();
  ends = [];
});
afterEach(async () => {
  await lifecycle.stop();
  await nats.stop();
  for (const end of ends) await end();
});

let start: (port?: number) => Promise<TestNats>;

/** Starts two servers of a cluster, of which the second advertises this address, or else its own. */
async function startCluster(advertised?: string): Promise<TestNats> {
  const [first, second] = [await freePort(), await freePort()].map((port) => `nats://127.0.0.1:${port}`);
  const args = (own: string | undefined, other: string | undefined) => [
    '--cluster_name',
    'c',
    '--cluster',
    own ?? '',
    '--routes',
    other ?? '',
  ];
  start = (port) => startNats({ ...(port !== undefined && { port }), args: args(first, second) });
  nats = await start();
  const other = await startNats({
    args: [...args(second, first), ...(advertised === undefined ? [] : ['--client_advertise', advertised])],
  });
  ends.push(() => other.stop());
  return other;
}

const gossipArrives = (bus: Bus) =>
  vi.waitFor(() => expect(knownServers(bus.connection).map(({ gossiped }) => gossiped)).toContain(true), {
    timeout: 10_000,
  });

const connect = (...servers: string[]): Promise<Bus> =>
  connectBus({
    mbus: { servers, tls: false },
    name: 'test',
    log,
    health: new Health(),
    lifecycle,
    metrics: new Registry(),
  });

/** Stops the server and starts it again. @returns how long the reconnect took from then (ms) */
async function restart(bus: Bus, downMs: number): Promise<number> {
  const { port } = nats;
  await nats.stop();
  await delay(downMs);
  nats = await start(port);
  const beginMs = performance.now();
  await vi.waitFor(() => expect(bus.connected()).toBe(true), { timeout: 20_000, interval: 10 });
  return performance.now() - beginMs;
}

test('an address that refuses connections does not delay the reconnect to the configured server', async () => {
  await startCluster(`127.0.0.1:${await freePort()}`);
  const bus = await connect(`127.0.0.1:${nats.port}`);
  for (const downMs of [0, 700, 1_500]) {
    await gossipArrives(bus);
    expect(await restart(bus, downMs)).toBeLessThan(2_000);
  }
}, 60_000);

test('nor does an address that accepts connections and stays silent, for longer than its own time-out', async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    socket.resume();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  ends.push(async () => silent.close());
  await startCluster(`127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const bus = await connect(`127.0.0.1:${nats.port}`);
  await gossipArrives(bus);
  expect(await restart(bus, 1_000)).toBeLessThan(3_500);
  await vi.waitFor(() => expect(sockets.size).toBe(0)); // none is left open
}, 60_000);

test('a configured server that was down at the start is used later', async () => {
  const down = await freePort();
  nats = await startNats();
  // The client tries the servers in random order.
  const buses = await Promise.all(
    Array.from({ length: 8 }, () => connect(`127.0.0.1:${nats.port}`, `127.0.0.1:${down}`)),
  );
  const later = await startNats({ port: down });
  ends.push(() => later.stop());
  await nats.stop();
  for (const bus of buses)
    await vi.waitFor(() => expect(bus.connected() && bus.connection.getServer()).toBe(`127.0.0.1:${down}`), {
      timeout: 10_000,
    });
}, 60_000);

test('a server that was only advertised is used when the configured one is gone', async () => {
  const other = await startCluster();
  const bus = await connect(`127.0.0.1:${nats.port}`);
  await gossipArrives(bus);
  await nats.stop();
  await vi.waitFor(
    () => expect(bus.connected() && bus.connection.getServer()).toBe(`127.0.0.1:${other.port}`),
    {
      timeout: 5_000,
    },
  );
}, 60_000);

test('a server that drops the connection before the order knows it is not dialed without a pause', () => {
  // The client compares the wait only with the time of a former dial, so the first one is at once all the same.
  expect(new ReconnectOrder().delayMs()).toBeGreaterThanOrEqual(250);
});

test('a part of a millisecond before the next round is a wait: the client adds it to the time of day, where it would be nothing', () => {
  const server = { src: 'a:4222', listen: 'a:4222', gossiped: false, lastConnect: 0 };
  const protocol = { servers: { servers: [server] }, options: {} };
  const order = new ReconnectOrder();
  order.attach({ protocol } as unknown as NatsConnection, ['a:4222']);
  const nowMs = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  vi.spyOn(Math, 'random').mockReturnValue(0);
  try {
    expect(order.delayMs()).toBe(Number.NEGATIVE_INFINITY); // the first round begins
    nowMs.mockReturnValue(1_249.999_95);
    const dialedMs = 1_796_000_000_000;
    expect(dialedMs + order.delayMs()).toBeGreaterThan(dialedMs);
  } finally {
    vi.restoreAllMocks();
  }
});
