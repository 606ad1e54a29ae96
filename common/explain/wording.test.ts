import { expect, test } from 'vitest';
import { NOW, times } from '../testing/explain.ts';
import { formatDuration, ordinal } from './wording.ts';

test.each([
  [0, '0 s'],
  [-5, '0 s'],
  [449, '0.4 s'],
  [9_999, '10 s'],
  [118_000, '118 s'],
  [600_000, '10 min'],
  [7_500_000, '2 h 5 min'],
  [7_200_000, '2 h'],
  [273_600_000, '3 d 4 h'],
])('%d ms is formatted as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [1, '1st'],
  [2, '2nd'],
  [3, '3rd'],
  [4, '4th'],
  [11, '11th'],
  [12, '12th'],
  [13, '13th'],
  [21, '21st'],
  [112, '112th'],
])('the ordinal of %d is %s', (n, text) => {
  expect(ordinal(n)).toBe(text);
});

test('a time on another day has its date', () => {
  expect(times.at(NOW - 86_400_000)).toBe('2024-05-05 15:14:56');
  expect(times.at(NOW)).toBe('15:14:56');
});
