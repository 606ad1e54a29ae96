import { expect, test } from 'vitest';
import { foldCrashLoops } from './crash-loops.ts';
import { storyOf } from './explain.ts';
import type { Fact } from './facts.ts';

const fact = (atS: number, kind: Fact['kind'], more: Partial<Fact> = {}): Fact => ({
  ...{ atMs: atS * 1000, droplet: 'app', kind, index: 0, version: 'v' },
  ...more,
});
/** A crash, the start that follows from it, and the instance that runs. */
const round = (n: number): Fact[] => [
  fact(60 * n, 'exit', { exit: 'CRASHED', instance: `i${n}` }),
  fact(60 * n, 'start', { id: `s${n}`, reason: 'crashed' }),
  fact(60 * n + 1, 'sent', { id: `s${n}`, reason: 'crashed' }),
  fact(60 * n + 5, 'up', { state: 'RUNNING', dea: 'd', instance: `i${n + 1}` }),
];
const rounds = (count: number) => Array.from({ length: count }, (_, n) => round(n)).flat();
const texts = (facts: Fact[]) => {
  const times = { at: (ms: number) => String(ms) };
  const story = storyOf(facts, 'v', { times, flappingTimeoutMs: 500_000, marksLoops: true });
  return foldCrashLoops(story).map(({ text }) => text);
};

test('a crash loop is one line, and its last crash with what followed', () => {
  const folded = texts(rounds(5));
  expect(folded[0]).toBe('index 0 crashed 4 times within 180 s, and was started again each time');
  expect(folded[1]).toMatch(/^index 0 crashed.*: start decided/);
  expect(folded).toHaveLength(4);
});

test('a few crashes, and crashes with something else between them, are shown one by one', () => {
  expect(texts(rounds(3))).toHaveLength(9);
  const between = [...rounds(2), fact(130, 'updated'), ...round(3), ...round(4)];
  expect(texts(between)).toHaveLength(13);
});

test('lines have no marks any more', () => {
  const times = { at: String };
  const story = storyOf(round(0), 'v', { times, flappingTimeoutMs: 500_000, marksLoops: true });
  expect(story[0]).toHaveProperty('loop');
  for (const line of foldCrashLoops(story)) expect(line).not.toHaveProperty('loop');
});
