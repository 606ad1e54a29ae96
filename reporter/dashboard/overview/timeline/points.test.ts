import { expect, test } from 'vitest';
import { LONG_STEP_MS } from '../../../../common/redis/fleet/timeline.ts';
import { holdSpans, pointsOf, withGaps, worstOf } from './points.ts';

const T0 = 1_700_000_000_000;
const point = (atS: number, running = 3, more = {}) => ({
  ...{ atMs: T0 + atS * 1000, wanted: 3, running, flapping: 0 },
  ...more,
});
const times = (points: readonly { atMs: number }[]) => points.map(({ atMs }) => (atMs - T0) / 1000);

test('an hour has the short steps and what runs now; longer ranges have the long steps', () => {
  const past = { points: [point(0), point(10)], day: [point(-30_000), point(-120), point(0)] };
  const slots = { exact: true, wanted: 3, running: 1, missing: 2, flapping: 0, unplaced: 0 };
  const now = {
    atMs: T0 + 12_000,
    slots,
    holds: [{ hold: 'mass_loss' as const, droplets: 1, releasable: true }],
  };
  expect(pointsOf(past, 1, now)).toEqual([point(0), point(10), point(12, 1, { holds: ['mass_loss'] })]);
  expect(times(pointsOf(past, 6, now))).toEqual([-120, 0, 12]);
  expect(times(pointsOf(past, 24))).toEqual([-30_000, -120, 0]);
  // The browser's clock is never before the latest point.
  expect(times(pointsOf(past, 1, { ...now, atMs: T0 }))).toEqual([0, 10, 10.001]);
  expect(pointsOf({ points: [], day: [] }, 1, now)).toEqual([]);
});

test('no line is drawn over the time in which nothing was known', () => {
  expect(times(withGaps([point(0), point(30), point(70)], 1))).toEqual([0, 30, 30.001, 70]);
  const step = LONG_STEP_MS / 1000;
  expect(times(withGaps([point(0), point(2 * step), point(5 * step)], 24))).toEqual([
    ...[0, 2 * step, 2 * step + 0.001, 5 * step],
  ]);
});

test('a hold is marked from its first point to the first one without', () => {
  const on = { holds: ['mass_loss'] };
  const points = withGaps([point(0), point(10, 3, on), point(20, 3, on), point(30), point(40, 3, on)], 1);
  expect(holdSpans(points).map(({ fromMs, toMs }) => [fromMs - T0, toMs - T0])).toEqual([
    [10_000, 30_000],
    [40_000, 40_000],
  ]);
});

test('the worst point is the first one with the most missing instances', () => {
  expect(worstOf([point(0), point(10, 1), point(20, 1)])).toEqual(point(10, 1));
  expect(worstOf([])).toBeUndefined();
});
