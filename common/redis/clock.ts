import { performance } from 'node:perf_hooks';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { RedisConnections } from './connections.ts';

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
  let measuring = false;
  const remeasure = async () => {
    if (measuring) return;
    measuring = true;
    try {
      offsetMs = await measure(redis, offsetMs);
    } finally {
      measuring = false;
    }
  };
  // A failed measurement is repeated by the next one; the monotonic clock carries on meanwhile, and the
  // connection itself reports that Redis is away.
  const again = () => remeasure().catch(() => undefined);
  const timer = setInterval(again, MEASURE_EVERY_MS);
  redis.client.on('ready', again);
  lifecycle.onStop('clock', () => {
    clearInterval(timer);
    redis.client.off('ready', again);
  });
  return { nowMs: () => Math.floor(performance.now() + offsetMs) };
}

async function measure(redis: RedisConnections, knownOffsetMs: number | undefined): Promise<number> {
  let best = { roundTripMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
  for (let i = 0; i < SAMPLES; i++) {
    const before = performance.now();
    const own = knownOffsetMs === undefined ? '' : before + knownOffsetMs;
    const atMs = Number(await redis.scripts.deploymentTime([redis.keys.clock], [own]));
    const after = performance.now();
    const roundTripMs = after - before;
    if (roundTripMs < best.roundTripMs) {
      best = { roundTripMs, offsetMs: atMs - (before + after) / 2 };
    }
  }
  return best.offsetMs;
}
