import { expect, test } from 'vitest';
import { isAlive } from './process-table.ts';

test('isAlive is true for a running process only', () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(undefined)).toBe(false);
  expect(isAlive(2 ** 30)).toBe(false);
});
