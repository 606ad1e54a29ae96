import { performance } from 'node:perf_hooks';
import type { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { PeriodicTask } from '../runtime/tasks/periodic-task.ts';
import type { RedisConnections } from './connection/connections.ts';
import { deploymentTime } from './scripts/fleet/deployment-time.ts';

/**
 * The one clock of the deployment: the clock of Redis, because times of different hosts are never compared. It does not go
 * back when Redis moves to another host. The wall clock of this host does not matter.
 */
export interface Clock {
  /** Epoch milliseconds on Redis's clock. */
  nowMs(): number;
}

/** How often the offset is measured: clocks drift by some ms an hour, and Redis may move to another host. */
const MEASURE_EVERY_MS = 10_000;
/** Number of round trips in a measurement; the shortest one is the most exact. */
const SAMPLES = 5;

/**
 * This process's monotonic clock plus its measured offset to Redis's `TIME`.
 *
 * @returns after the first measurement, for which it waits while Redis is not reachable
 */
export async function startClock(redis: RedisConnections, lifecycle: Lifecycle): Promise<Clock> {
  let offsetMs = await measure(redis, undefined);
  const remeasure = async () => {
    try {
      offsetMs = await measure(redis, offsetMs);
    } catch {
      // The monotonic clock carries on until the next measurement. The connection logs that Redis is not reachable.
    }
  };
  const measurements = new PeriodicTask(MEASURE_EVERY_MS, remeasure);
  const onReady = () => void measurements.runNow();
  redis.client.on('ready', onReady);
  lifecycle.onStop('clock', () => {
    measurements.cancel();
    redis.client.off('ready', onReady);
  });
  return { nowMs: () => Math.floor(performance.now() + offsetMs) };
}

async function measure(redis: RedisConnections, knownOffsetMs: number | undefined): Promise<number> {
  let best = { roundTripMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
  for (let i = 0; i < SAMPLES; i++) {
    const before = performance.now();
    const knownMs = knownOffsetMs === undefined ? undefined : before + knownOffsetMs;
    const atMs = await deploymentTime(redis, { knownMs });
    const after = performance.now();
    const roundTripMs = after - before;
    if (roundTripMs < best.roundTripMs) {
      best = { roundTripMs, offsetMs: atMs - (before + after) / 2 };
    }
  }
  return best.offsetMs;
}
