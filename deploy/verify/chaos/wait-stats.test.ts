import { expect, test } from 'vitest';
import { WaitStats } from './wait-stats.ts';

test('late and unfinished waits are problems, others are not', () => {
  let nowMs = 0;
  const stats = new WaitStats('question to answer', () => nowMs);
  for (const key of ['in time', 'late', 'never']) stats.begin(key);
  nowMs = 1_000;
  stats.end('in time');
  nowMs = 1_001;
  stats.end('late');
  stats.end('late'); // a second answer is ignored
  stats.end('unknown');
  expect(stats.problems(1_000)).toEqual([
    'question to answer: took 1001 ms',
    'question to answer: never came for never',
  ]);
  expect(stats.summary()).toBe('question to answer: 2 times, p50 1000 ms, p99 1001 ms, longest 1001 ms');
});
