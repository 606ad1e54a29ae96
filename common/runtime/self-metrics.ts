/** How quickly a process and what it depends on answer: for its metrics. */
import type { Histogram } from 'prom-client';
import type { Lifecycle } from './lifecycle.ts';

/** Often enough to see what lasts for a scrape or two, seldom enough to cost nothing. */
const ROUND_TRIP_EVERY_MS = 5_000;
/**
 * Two looks a second find what blocks the event loop for long or often. Node's own `monitorEventLoopDelay` wakes the
 * process a hundred times as often, which a steady fleet would pay for.
 */
const LOOP_EVERY_MS = 500;

/**
 * Measures a round trip again and again until the process stops, one at a time: while the other side is away none is
 * counted, and the one under way tells how long that lasted.
 *
 * @param trip rejects when it cannot be made; whose connection that is reports why
 */
export function measureRoundTrips(
  seconds: Histogram,
  trip: () => Promise<unknown>,
  lifecycle: Lifecycle,
  everyMs = ROUND_TRIP_EVERY_MS,
): void {
  let underWay = false;
  const measure = async () => {
    const beginMs = performance.now();
    try {
      await trip();
      seconds.observe((performance.now() - beginMs) / 1000);
    } catch {
      // Said by the connection itself, once.
    }
  };
  const timer = setInterval(async () => {
    if (underWay) return;
    underWay = true;
    await measure();
    underWay = false;
  }, everyMs);
  lifecycle.onStop('round trips', () => clearInterval(timer));
}

/** Measures by how much a timer is late: for so long whatever comes waits until this process takes it up. */
export function measureEventLoop(seconds: Histogram, lifecycle: Lifecycle): void {
  let dueMs = performance.now() + LOOP_EVERY_MS;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    seconds.observe(Math.max(0, nowMs - dueMs) / 1000);
    dueMs = nowMs + LOOP_EVERY_MS;
  }, LOOP_EVERY_MS);
  lifecycle.onStop('event loop', () => clearInterval(timer));
}
