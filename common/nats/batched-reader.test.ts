import { setImmediate as turn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from '../runtime/health.ts';
import { Lifecycle } from '../runtime/lifecycle.ts';
import { captureLog, metricValue } from '../testing/context.ts';
import { startNats, type TestNats } from '../testing/nats.ts';
import type { Bus } from './bus.ts';
import { connectBus } from './connect.ts';

/** Longer than any test. */
const NEVER_MS = 1_000_000;

let nats: TestNats;
let lifecycle: Lifecycle;
const health = new Health();
const metrics = new Registry();
/** Somebody else. */
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

/** A connection that reads so often, and what it was given; nothing is under way on it. */
async function gathering(readEveryMs: number): Promise<{ bus: Bus; got: string[] }> {
  const bus = await connect(readEveryMs);
  const got: string[] = [];
  bus.subscribe('x', {}, (message) => got.push(message.string()));
  await bus.flush();
  await turns();
  return { bus, got };
}

/** Time enough for what lies there to be read, if anybody reads. */
async function turns(): Promise<void> {
  for (let n = 0; n < 50; n++) await turn();
}

async function say(...words: string[]): Promise<void> {
  for (const word of words) other.publish('x', word);
  await other.flush();
  await turns();
}

test('what comes waits, and is read by whoever waits for an answer', async () => {
  const { bus, got } = await gathering(NEVER_MS);
  await say('a', 'b');
  await say('c');
  expect(got).toEqual([]);
  await bus.flush();
  expect(got).toEqual(['a', 'b', 'c']);
  await turns();
  await say('d');
  expect(got).toEqual(['a', 'b', 'c']);
  bus.subscribe('echo', {}, (message) => message.respond(message.data));
  expect((await bus.request('echo', 'hello', { timeoutMs: 5_000 })).string()).toBe('hello');
  expect(got).toEqual(['a', 'b', 'c', 'd']);
});

test('it is known since when what is read may have waited', async () => {
  const bus = await connect(NEVER_MS);
  const since: number[] = [];
  bus.subscribe('x', {}, () => since.push(performance.now() - bus.readLagMs()));
  const flushedMs = performance.now();
  await bus.flush();
  await turns();
  const saidMs = performance.now();
  await say('a', 'b');
  await bus.flush();
  expect(since).toHaveLength(2);
  for (const ms of since) {
    expect(ms).toBeGreaterThanOrEqual(flushedMs);
    expect(ms).toBeLessThanOrEqual(saidMs);
  }
  expect(performance.now() - bus.readLagMs()).toBeGreaterThan(saidMs);
  expect(other.readLagMs()).toBe(0);
});

test('it is read before long in any case', async () => {
  const { got } = await gathering(5);
  await say('a');
  await vi.waitFor(() => expect(got).toEqual(['a']));
  await say('b', 'c');
  await vi.waitFor(() => expect(got).toEqual(['a', 'b', 'c']));
});

test('more than the system holds is taken in, too', async () => {
  const { bus, got } = await gathering(5);
  const large = 'x'.repeat(500_000);
  for (let n = 0; n < 40; n++) other.publish('x', `${n} ${large}`);
  await other.flush();
  await vi.waitFor(() => expect(got).toHaveLength(40), { timeout: 15_000 });
  expect(got.map((text) => Number.parseInt(text, 10))).toEqual(Array.from({ length: 40 }, (_, n) => n));
  await bus.flush();
});

test('after an outage it goes on', async () => {
  const { bus, got } = await gathering(5);
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
  await say('back');
  await vi.waitFor(() => expect(got).toEqual(['back']));
  expect(health.ready()).toBe(true);
});

test('the end of the connection reads what has come', async () => {
  const { bus, got } = await gathering(NEVER_MS);
  await say('last');
  expect(got).toEqual([]);
  await bus.close();
  expect(got).toEqual(['last']);
});
