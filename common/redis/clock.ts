import { performance } from 'node:perf_hooks';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import { PeriodicTask } from '../runtime/periodic-task.ts';
import type { RedisConnections } from './connections.ts';
import { deploymentTime } from './scripts/fleet/deployment-time.ts';

/**
 * The one clock of the deployment: Redis's (policy: times of different hosts are never compared), kept from
 * going back when Redis moves to another host. A host whose wall clock jumps changes nothing.
 */
export interface Clock {
  /** Epoch milliseconds on Redis's clock. */
  nowMs(): number;
}

/** How often the offset is measured anew: clocks drift by some ms an hour, and Redis may move to another host. */
const MEASURE_EVERY_MS = 10_000;
/** Of several measurements the one with the shortest round trip is the most exact. */
const SAMPLES = 5;

/**
 * This process's monotonic clock plus its measured offset to Redis's `TIME`.
 *
 * @returns when the first measurement is done: waits while Redis is away
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
