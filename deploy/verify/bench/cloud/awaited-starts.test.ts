import { expect, test } from 'vitest';
import { mostWithin } from './awaited-starts.ts';

test('the largest number within any window', () => {
  expect(mostWithin([], 10)).toBe(0);
  expect(mostWithin([0, 5, 9, 10, 11, 30], 10)).toBe(4);
  expect(mostWithin([0, 10, 20], 10)).toBe(1);
});
