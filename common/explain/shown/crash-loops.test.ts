import { expect, test } from 'vitest';
import { storyOf } from '../explain.ts';
import type { Fact } from '../facts.ts';
import { foldCrashLoops } from './crash-loops.ts';

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
  const story = storyOf(facts, 'v', { times, flappingTimeoutMs: 500_000 });
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
  // A change of the app begins a new count.
  const between = [...rounds(2), fact(130, 'updated'), ...round(3), ...round(4)];
  expect(texts(between)).toHaveLength(13);
});

test('crash loops of several indices at the same time are one line, too', () => {
  const three = rounds(5).flatMap((line) =>
    [0, 1, 2].map((index) => ({ ...line, index, ...(line.id && { id: `${line.id}-${index}` }) })),
  );
  const folded = texts(three);
  expect(folded[0]).toBe('indices 0 to 2 crashed 12 times within 180 s, and were started again each time');
  expect(folded.slice(1).filter((text) => text.includes('crashed:'))).toEqual([
    'index 0 crashed: start decided',
    'index 1 crashed: start decided',
    'index 2 crashed: start decided',
  ]);
});

test('lines have no marks any more', () => {
  const times = { at: String };
  const story = storyOf(round(0), 'v', { times, flappingTimeoutMs: 500_000 });
  expect(story[0]).toHaveProperty('loop');
  for (const line of foldCrashLoops(story)) expect(line).not.toHaveProperty('loop');
});
