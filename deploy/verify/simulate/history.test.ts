import { expect, test } from 'vitest';
import { FAULTS } from './faults/faults.ts';
import { drawEpisode } from './history.ts';

test('a seed has one history, and another seed another one', () => {
  expect(drawEpisode(7, 3)).toEqual(drawEpisode(7, 3));
  expect(drawEpisode(7, 3)).not.toEqual(drawEpisode(8, 3));
});

test('every kind of fault is drawn, some at the same time, and one episode in ten has none', () => {
  const episodes = Array.from({ length: 200 }, (_, number) => drawEpisode(1, number));
  const faults = episodes.map((episode) => episode.filter(({ what }) => what === 'fault'));
  expect(new Set(faults.flat().map(({ name }) => name))).toEqual(new Set(Object.keys(FAULTS)));
  expect(faults.filter(({ length }) => length === 0)).toHaveLength(20);
  const times = faults.filter(({ length }) => length > 0).map((some) => some.map(({ atMs }) => atMs));
  expect(times.some((some) => new Set(some).size < some.length)).toBe(true);
});
