import { describe, expect, test } from 'vitest';
import { median, readGuarded, worse } from './guard.ts';
import type { Figure } from './row.ts';

const rate = (value: number): Figure[] => [{ what: 'rate', value, unit: '', min: 1, guarded: true }];
const cost = (value: number): Figure[] => [{ what: 'cost', value, unit: '', max: 1, guarded: true }];
const KEPT = { ROW: { rate: [0.9, 1, 5], cost: [0.1, 1, 1.1] } };

test('the median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('a ratio a quarter worse than the median of the kept ones is reported, a better one is not', () => {
  expect(worse('ROW', [rate(0.75)], KEPT)).toEqual([]);
  expect(worse('ROW', [rate(9)], KEPT)).toEqual([]);
  expect(worse('ROW', [rate(0.74)], KEPT)).toEqual([
    'rate: 0.740 (median of 1) is more than 25% worse than 1.00',
  ]);
  expect(worse('ROW', [cost(1.25)], KEPT)).toEqual([]);
  expect(worse('ROW', [cost(0)], KEPT)).toEqual([]);
  expect(worse('ROW', [cost(1.26)], KEPT)).toHaveLength(1);
});

test('the median of the measurements counts', () => {
  expect(worse('ROW', [rate(0.1), rate(1), rate(0.8)], KEPT)).toEqual([]);
  expect(worse('ROW', [rate(0.1), rate(1), rate(0.2)], KEPT)).toHaveLength(1);
});

test('a ratio that is no number, or that nothing is kept of, is reported; what is not guarded never is', () => {
  expect(worse('ROW', [rate(Number.NaN)], KEPT)).toHaveLength(1);
  expect(worse('OTHER', [rate(1)], KEPT)).toHaveLength(1);
  expect(worse('ROW', [[{ what: 'p99', value: 1e9, unit: 'ms', max: 1 }]], KEPT)).toEqual([]);
});

/** Recorded on a machine that other work kept busy (a load of 8 to 27 on two cores). */
describe('the recorded runs', () => {
  const guarded = readGuarded();
  const ratios = Object.entries(guarded).flatMap(([row, values]) =>
    Object.entries(values).map(([what, runs]) => ({ row, what, runs })),
  );

  test.each(ratios)(
    '$row, $what: any three of them pass, and a change by two fifths is noticed in any three',
    ({ row, what, runs }) => {
      const isRate = what.startsWith('rate');
      const bestFirst = runs.toSorted((a, b) => (isRate ? b - a : a - b));
      const judge = (values: readonly number[]) => {
        const figure = { what, unit: '', ...(isRate ? { min: 0 } : { max: 0 }), guarded: true as const };
        return worse(
          row,
          values.map((value) => [{ ...figure, value }]),
          guarded,
        );
      };
      expect(judge(bestFirst.slice(-3))).toEqual([]);
      expect(judge(bestFirst.slice(0, 3).map((value) => value * (isRate ? 0.6 : 1 / 0.6)))).toHaveLength(1);
      // One run alone may seem worse, so it is measured again; few do, because that takes time.
      const seemWorse = runs.filter((value) => judge([value]).length > 0);
      expect(seemWorse.length).toBeLessThanOrEqual(runs.length / 4);
    },
  );
});
