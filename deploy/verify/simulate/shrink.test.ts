import { expect, test } from 'vitest';
import type { Episode, Item } from './history.ts';
import { shrink } from './shrink.ts';

const item = (name: string): Item => ({ atMs: 0, what: 'fault', name, seed: 1 });
const episodeOf = (...names: string[]): Episode => names.map(item);
const names = (episodes: readonly Episode[]) => episodes.map((episode) => episode.map(({ name }) => name));

function failsWith(...needed: string[]) {
  const tried: string[][][] = [];
  return {
    tried,
    fails: async (episodes: readonly Episode[]) => {
      tried.push(names(episodes));
      const all = new Set(names(episodes).flat());
      return needed.every((name) => all.has(name));
    },
  };
}

const letters = [...'abcdefghijklmnopqrst'];

test('only the items that a failure needs are left, in their order', async () => {
  const { fails } = failsWith('c', 'q');
  const shortest = await shrink([episodeOf('x', 'y'), episodeOf(...letters)], { fails, tries: 200 });
  expect(names(shortest)).toEqual([['c', 'q']]);
});

test('an earlier episode stays if the failure needs it', async () => {
  const { fails } = failsWith('x', 'b');
  const shortest = await shrink([episodeOf('w'), episodeOf('x', 'y'), episodeOf('a', 'b')], {
    fails,
    tries: 200,
  });
  expect(names(shortest)).toEqual([['x'], ['b']]);
});

test('a failure that needs nothing ends with empty episodes', async () => {
  const { fails } = failsWith();
  expect(names(await shrink([episodeOf('a', 'b')], { fails, tries: 50 }))).toEqual([[]]);
});

test('no more histories are tried than allowed, and the result still fails', async () => {
  const { fails, tried } = failsWith('c', 'q');
  const shortest = await shrink([episodeOf(...letters)], { fails, tries: 6 });
  expect(tried.length).toBeLessThanOrEqual(6);
  expect(names(shortest).flat()).toEqual(expect.arrayContaining(['c', 'q']));
});
