import { expect, test } from 'vitest';
import { Waits } from './wait-stats.ts';

test('tells what came late and what never came, and nothing of what came in time', () => {
  let nowMs = 0;
  const waits = new Waits('question to answer', () => nowMs);
  for (const key of ['in time', 'late', 'never']) waits.begin(key);
  nowMs = 1_000;
  waits.end('in time');
  nowMs = 1_001;
  waits.end('late');
  waits.end('late'); // a second one is nobody's answer
  waits.end('not waited for');
  expect(waits.problems(1_000)).toEqual([
    'question to answer: took 1001 ms',
    'question to answer: never came for never',
  ]);
  expect(waits.summary()).toBe('question to answer: 2 times, p50 1000 ms, p99 1001 ms, longest 1001 ms');
});
