import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from '../runtime/health.ts';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { captureLog, metricValue } from '../testing/context.ts';
import { startNats, type TestNats } from '../testing/nats/server.ts';
import type { Bus } from './bus.ts';
import { connectBus } from './connection/connect.ts';

/** Longer than any test. */
const NEVER_MS = 1_000_000;

let nats: TestNats;
let lifecycle: Lifecycle;
const health = new Health();
const metrics = new Registry();
/** A second client. */
let other: Bus;

beforeEach(async () => {
  lifecycle = new Lifecycle();
  nats = await startNats();
  other = await connect();
});
afterEach(async () => {
  await lifecycle.stop();
  await nats.stop();
});

function connect(readEveryMs?: number): Promise<Bus> {
  return connectBus({
    mbus: { servers: [`127.0.0.1:${nats.port}`], tls: false },
    name: 'test',
    log: captureLog().log,
    health,
    lifecycle,
    metrics,
    dedicated: readEveryMs === undefined ? undefined : { name: 'some', readEveryMs },
  });
}

/** An idle connection that is read in batches, and the messages it has handed over. */
async function batchedConnection(readEveryMs: number): Promise<{ bus: Bus; got: string[] }> {
  const bus = await connect(readEveryMs);
  const got: string[] = [];
  bus.subscribe('x', {}, (message) => got.push(message.string()));
  await bus.flush();
  await turns();
  return { bus, got };
}

/** Time enough to read what has arrived. */
async function turns(): Promise<void> {
  for (let n = 0; n < 50; n++) await turn();
}

async function publish(...texts: string[]): Promise<void> {
  for (const text of texts) other.publish('x', text);
  await other.flush();
  await turns();
}

test('messages wait, and are read together with the next reply', async () => {
  const { bus, got } = await batchedConnection(NEVER_MS);
  await publish('a', 'b');
  await publish('c');
  expect(got).toEqual([]);
  await bus.flush();
  expect(got).toEqual(['a', 'b', 'c']);
  await turns();
  await publish('d');
  expect(got).toEqual(['a', 'b', 'c']);
  bus.subscribe('echo', {}, (message) => message.respond(message.data));
  expect((await bus.request('echo', 'hello', { timeoutMs: 5_000 })).string()).toBe('hello');
  expect(got).toEqual(['a', 'b', 'c', 'd']);
});

test('readLagMs is the longest time that a message may have waited', async () => {
  const bus = await connect(NEVER_MS);
  const since: number[] = [];
  bus.subscribe('x', {}, () => since.push(performance.now() - bus.readLagMs()));
  const flushedMs = performance.now();
  await bus.flush();
  await turns();
  const publishedMs = performance.now();
  await publish('a', 'b');
  await bus.flush();
  expect(since).toHaveLength(2);
  for (const ms of since) {
    expect(ms).toBeGreaterThanOrEqual(flushedMs);
    expect(ms).toBeLessThanOrEqual(publishedMs);
  }
  expect(performance.now() - bus.readLagMs()).toBeGreaterThan(publishedMs);
  expect(other.readLagMs()).toBe(0);
});

test('a batch is read periodically', async () => {
  const { got } = await batchedConnection(5);
  await publish('a');
  await vi.waitFor(() => expect(got).toEqual(['a']));
  await publish('b', 'c');
  await vi.waitFor(() => expect(got).toEqual(['a', 'b', 'c']));
});

test('more data than the socket buffers hold is read', async () => {
  const { bus, got } = await batchedConnection(5);
  const large = 'x'.repeat(500_000);
  for (let n = 0; n < 40; n++) other.publish('x', `${n} ${large}`);
  await other.flush();
  await vi.waitFor(() => expect(got).toHaveLength(40), { timeout: 15_000 });
  expect(got.map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: 40 }, (_, n) => n));
  await bus.flush();
});

test('batches continue after an outage', async () => {
  const { bus, got } = await batchedConnection(5);
  expect(await metricValue(metrics, 'hm_nats_connected', { connection: 'some' })).toBe(1);
  await nats.kill();
  await vi.waitFor(() => expect(bus.connected()).toBe(false), { timeout: 15_000 });
  expect(await metricValue(metrics, 'hm_nats_connected', { connection: 'some' })).toBe(0);
  expect(health.problems().get('nats (some)')).toMatch(/ lost$/);
  nats = await startNats({ port: nats.port });
  await vi.waitFor(() => expect([bus.connected(), other.connected()]).toEqual([true, true]), {
    timeout: 15_000,
  });
  await bus.flush();
  await publish('back');
  await vi.waitFor(() => expect(got).toEqual(['back']));
  expect(health.ready()).toBe(true);
});

test('closing the connection reads what has arrived', async () => {
  const { bus, got } = await batchedConnection(NEVER_MS);
  await publish('last');
  expect(got).toEqual([]);
  await bus.close();
  expect(got).toEqual(['last']);
});
