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

/** Recorded on a machine that other work kept busy (a load of 8 to 27 on two cores), so the guard meets no worse. */
describe('the recorded runs', () => {
  const guarded = readGuarded();
  const figures = Object.entries(guarded).flatMap(([row, whats]) =>
    Object.entries(whats).map(([what, values]) => ({ row, what, values })),
  );

  test.each(figures)(
    '$row, $what: each run passes against the others, also the worst three together',
    ({ row, what, values }) => {
      const better = what.startsWith('rate') ? { min: 0 } : { max: 0 };
      const figure = (value: number): Figure[] => [{ what, value, unit: '', ...better, guarded: true }];
      const lowestFirst = values.toSorted((a, b) => a - b);
      const worst = what.startsWith('rate') ? lowestFirst.slice(0, 3) : lowestFirst.slice(-3);
      values.forEach((value, at) => {
        const others = { [row]: { [what]: values.filter((_, other) => other !== at) } };
        expect(worse(row, [figure(value)], others)).toEqual([]);
      });
      expect(worse(row, worst.map(figure), guarded)).toEqual([]);
      // A third worse is noticed in whichever three runs.
      const factor = what.startsWith('rate') ? 0.6 : 1.6;
      const best = what.startsWith('rate') ? lowestFirst.slice(-3) : lowestFirst.slice(0, 3);
      expect(
        worse(
          row,
          best.map((value) => figure(value * factor)),
          guarded,
        ),
      ).toHaveLength(1);
    },
  );
});
