import { describe, expect, it } from 'vitest';
import { NOW, SECOND, SETTINGS } from '../../testing/builders.ts';
import { watermarkGapMs } from '../thresholds.ts';
import { extendStreak, isActualNotFresh, isDesiredUnavailable, type Streak } from './freshness.ts';

describe('actual_not_fresh is', () => {
  const ingested = (secondsAgo: number[]) =>
    secondsAgo.reduce<Streak | undefined>(
      (streak, s) => extendStreak(streak, NOW - s * SECOND, watermarkGapMs(SETTINGS)),
      undefined,
    );

  it.each<[string, number[], boolean]>([
    ['on without any watermark', [], true],
    ['on while watermarks were written for less than droplet_lost', [29, 20, 10, 0], true],
    ['off after droplet_lost of watermarks', [30, 20, 10, 0], false],
    ['off during a short restart', [60, 50, 40, 30, 20, 10], false],
    ['on after a gap of more than a third of droplet_lost', [60, 50, 29, 20, 10, 0], true],
    ['on when the last watermark is older than that', [60, 50, 40, 30, 20, 11], true],
  ])('%s', (_, secondsAgo, expected) => {
    expect(isActualNotFresh(ingested(secondsAgo), NOW, SETTINGS)).toBe(expected);
  });
});

it('desired_unavailable is on before the first pass, and when the last one is older than desired_state_lost', () => {
  expect(isDesiredUnavailable(undefined, NOW, SETTINGS)).toBe(true);
  expect(isDesiredUnavailable(NOW - 180 * SECOND, NOW, SETTINGS)).toBe(false);
  expect(isDesiredUnavailable(NOW - 180 * SECOND - 1, NOW, SETTINGS)).toBe(true);
});
