import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LateTimer, stretchOf } from './lateness.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a timer that runs late reports by how much, before it acts', () => {
  const calls: (number | 'act')[] = [];
  const timer = new LateTimer(
    1_000,
    () => calls.push('act'),
    (ms) => calls.push(ms),
  );
  vi.advanceTimersByTime(1_000);
  expect(calls).toEqual(['act']);
  // The process stands still: the clock goes on, and no timer runs.
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 4_200);
  vi.advanceTimersByTime(1_000);
  expect(calls).toEqual(['act', expect.closeTo(3_200, -2), 'act']);
  expect(timer.worstMs).toBeCloseTo(3_200, -2);
  timer.stop();
  vi.advanceTimersByTime(5_000);
  expect(calls).toHaveLength(3);
});

test('the health manager waits longer on a machine on which timers run late', () => {
  expect([0, 499, 500, 1_499, 1_500, 60_000].map(stretchOf)).toEqual([1, 1, 2, 2, 3, 3]);
});
