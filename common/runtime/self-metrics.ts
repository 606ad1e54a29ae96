/** How quickly this process and its servers answer. */
import type { Histogram } from 'prom-client';
import type { Lifecycle } from './lifecycle/lifecycle.ts';
import { PeriodicTask } from './tasks/periodic-task.ts';

/** Often enough to show what lasts for a scrape or two, and cheap. */
const ROUND_TRIP_EVERY_MS = 5_000;
/**
 * Twice a second is enough to find what blocks the event loop for long or often. Node's own `monitorEventLoopDelay` wakes the
 * process a hundred times as often, which costs a noticeable share of the CPU time of a steady fleet.
 */
const LOOP_EVERY_MS = 500;

/**
 * Measures round trips until the process stops, one at a time. During an outage none is counted; the one in progress shows
 * how long the outage lasted.
 *
 * @param trip rejects when the round trip fails; its connection logs why
 */
export function measureRoundTrips(
  seconds: Histogram,
  trip: () => Promise<unknown>,
  lifecycle: Lifecycle,
  everyMs = ROUND_TRIP_EVERY_MS,
): void {
  const measure = async () => {
    const beginMs = performance.now();
    try {
      await trip();
      seconds.observe((performance.now() - beginMs) / 1000);
    } catch {
      // The connection has logged that it is lost.
    }
  };
  const task = new PeriodicTask(everyMs, measure);
  lifecycle.onStop('round trips', () => task.cancel());
}

/**
 * Measures how late a timer is: everything that this process receives waits that long.
 *
 * @returns the longest delay since the call before (ms)
 */
export function measureEventLoop(seconds: Histogram, lifecycle: Lifecycle): () => number {
  let dueMs = performance.now() + LOOP_EVERY_MS;
  let longestMs = 0;
  const task = new PeriodicTask(LOOP_EVERY_MS, () => {
    const nowMs = performance.now();
    const delayMs = Math.max(0, nowMs - dueMs);
    seconds.observe(delayMs / 1000);
    longestMs = Math.max(longestMs, delayMs);
    dueMs = nowMs + LOOP_EVERY_MS;
  });
  lifecycle.onStop('event loop', () => task.cancel());
  return () => {
    const takenMs = longestMs;
    longestMs = 0;
    return takenMs;
  };
}
