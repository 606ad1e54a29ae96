import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deas } from './deas.ts';
import { Random } from './random.ts';

const HEARTBEAT_MS = 2_000;
const LOST_MS = 6_000;
let deas: Deas;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] });
  deas = new Deas({
    nats: { publish: () => undefined, subscribe: () => undefined } as unknown as NatsConnection,
    connected: () => true,
    random: new Random(1),
    heartbeatMs: HEARTBEAT_MS,
    dropletLostMs: LOST_MS,
    truth: { info: () => undefined },
  });
});
afterEach(() => {
  deas.stop();
  vi.useRealTimers();
});

test.each([
  ['shorter than droplet_lost stays steady', 3_000, false],
  ['of droplet_lost is a new report, though the disconnection was shorter', 5_900, true],
])('an instance whose DEA was silent for a time %s', (_, disconnectedMs, isNew) => {
  const dea = deas.add();
  const instance = deas.run(dea, 'app', 'v', 0);
  vi.advanceTimersByTime(10_000);
  const steadySinceMs = instance.steadySinceMs as number;
  vi.advanceTimersByTime((instance.lastListedMs as number) + HEARTBEAT_MS + 50 - performance.now());
  deas.disconnect(dea);
  vi.advanceTimersByTime(disconnectedMs);
  deas.reconnect(dea);
  expect(dea.silentSinceDisconnect).toBe(true);
  vi.advanceTimersByTime(HEARTBEAT_MS + 50);
  expect(dea.silentSinceDisconnect).toBe(false);
  expect(instance.steadySinceMs).toBeGreaterThanOrEqual(steadySinceMs);
  expect(instance.steadySinceMs !== steadySinceMs).toBe(isNew);
});

test('an instance that a single-instance heartbeat reports is known to run, before a full heartbeat lists it', () => {
  const dea = deas.add();
  dea.sendsSingle = true;
  vi.advanceTimersByTime(HEARTBEAT_MS);
  dea.nextHeartbeatMs = performance.now() + 2 * HEARTBEAT_MS;
  const instance = deas.run(dea, 'app', 'v', 0);
  vi.advanceTimersByTime(1_300);
  expect(instance).toMatchObject({ state: 'RUNNING', lastRunningMs: expect.any(Number) });
  expect(instance.lastListedMs).toBeUndefined();
});

test('what a lost heartbeat listed was last listed by the one before, and nothing if that was the first', () => {
  const dea = deas.add();
  const first = deas.run(dea, 'app', 'v', 0);
  vi.advanceTimersByTime(10_000);
  const { lastHeartbeatMs: beforeMs, listed } = dea;
  const steadySinceMs = first.steadySinceMs;
  const second = deas.run(dea, 'app', 'v', 1);
  vi.advanceTimersByTime(HEARTBEAT_MS);
  expect([dea.lastHeartbeatMs, first.lastListedMs, second.lastListedMs]).toEqual(
    Array(3).fill((beforeMs as number) + HEARTBEAT_MS),
  );

  deas.heartbeatLost(dea.id, 1); // it was not a full list
  expect(first.lastListedMs).not.toBe(beforeMs);
  deas.heartbeatLost(dea.id, listed.size);
  expect([dea.lastHeartbeatMs, first.lastListedMs, first.steadySinceMs]).toEqual([
    ...[beforeMs, beforeMs, steadySinceMs],
  ]);
  expect([second.lastListedMs, second.steadySinceMs]).toEqual([undefined, undefined]);
});
