import { expect, test } from 'vitest';
import { cpuOfAll } from './usage.ts';

test('all nodes of Redis are Redis, and all copies of a process the process', () => {
  const of = new Map([
    ['redis', 1],
    ['redis 2', 2],
    ['redis 3', 4],
    ['ingest', 8],
    ['ingest 2', 16],
  ]);
  expect(cpuOfAll(of, 'redis')).toBe(7);
  expect(cpuOfAll(of, 'ingest')).toBe(24);
  expect(cpuOfAll(of, 'sync')).toBe(0);
});
