import { expect, test } from 'vitest';
import { differences, farFrom, reached } from './row.ts';

test('a figure reaches its target', () => {
  const figure = { what: 'rate', unit: '/s' };
  expect(reached({ ...figure, value: 10, min: 10 })).toBe(true);
  expect(reached({ ...figure, value: 9, min: 10 })).toBe(false);
  expect(reached({ ...figure, value: 11, max: 10 })).toBe(false);
  expect(reached({ ...figure, value: 11 })).toBe(true);
  expect(reached({ ...figure, value: Number.NaN, min: 10 })).toBe(false);
});

test('a ratio far from its target is an error, a time never is', () => {
  const rate = { what: 'rate', unit: '/s', min: 100, ratio: true } as const;
  const share = { what: 'share', unit: '', max: 2, ratio: true } as const;
  expect(
    farFrom(
      [
        { ...rate, value: 10 },
        { ...share, value: 20 },
      ],
      10,
    ),
  ).toEqual([]);
  expect(farFrom([{ ...rate, value: 9 }], 10)).toEqual([
    'rate: 9 /s is more than 10 times worse than its target',
  ]);
  expect(farFrom([{ ...share, value: 21 }], 10)).toHaveLength(1);
  expect(farFrom([{ ...rate, value: Number.NaN }], 10)).toHaveLength(1);
  expect(farFrom([{ what: 'p99', unit: 'ms', max: 1, value: 1_000 }], 10)).toEqual([]);
});

test('differences lists each value that is not as expected', () => {
  expect(differences({ starts: 1, stops: 0, more: 5 }, { starts: 2, stops: 0 })).toEqual([
    'starts: expected 2, found 1',
  ]);
});
