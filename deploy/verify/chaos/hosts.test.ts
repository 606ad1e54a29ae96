import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Hosts } from './hosts.ts';
import { Random } from './random.ts';

const BEAT_MS = 2_000;
const LOST_MS = 6_000;
let hosts: Hosts;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] });
  hosts = new Hosts({
    nats: { publish: () => undefined, subscribe: () => undefined } as unknown as NatsConnection,
    connected: () => true,
    random: new Random(1),
    beatMs: BEAT_MS,
    dropletLostMs: LOST_MS,
    truth: { info: () => undefined },
  });
});
afterEach(() => {
  hosts.stop();
  vi.useRealTimers();
});

test.each([
  ['shorter than droplet_lost is as steady as before', 3_000, false],
  ['of droplet_lost has to be heard anew, though the cut was shorter', 5_900, true],
])('an instance whose host was silent for a time %s', (_, cutMs, anew) => {
  const host = hosts.add();
  const instance = hosts.run(host, 'app', 'v', 0);
  vi.advanceTimersByTime(10_000);
  const steadySinceMs = instance.steadySinceMs as number;
  vi.advanceTimersByTime((instance.lastListedMs as number) + BEAT_MS + 50 - performance.now());
  hosts.cut(host);
  vi.advanceTimersByTime(cutMs);
  hosts.mend(host);
  expect(host.unheardSinceCut).toBe(true);
  vi.advanceTimersByTime(BEAT_MS + 50);
  expect(host.unheardSinceCut).toBe(false);
  expect(instance.steadySinceMs).toBeGreaterThanOrEqual(steadySinceMs);
  expect(instance.steadySinceMs !== steadySinceMs).toBe(anew);
});
