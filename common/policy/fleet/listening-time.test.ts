import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ListeningGap } from '../../model/droplet.ts';
import { listenedAgoMs, listeningTimeMs } from './listening-time.ts';

const gaps = (...pairs: [number, number][]): ListeningGap[] =>
  pairs.map(([fromMs, toMs]) => ({ fromMs, toMs }));
const ONGOING = Number.POSITIVE_INFINITY;

describe('listening time', () => {
  it.each<[string, ListeningGap[], number]>([
    ['is time where there is no gap', gaps(), 100],
    ['leaves out a gap', gaps([30, 50]), 80],
    ['leaves out several gaps', gaps([10, 20], [30, 50], [99, 100]), 69],
    ['ignores gaps before and after', gaps([-20, 0], [100, 120]), 100],
    ['leaves out the part of a gap that it covers', gaps([-20, 5], [90, 120]), 85],
    ['does not grow in an ongoing gap', gaps([40, ONGOING]), 40],
    ['is none in a gap', gaps([-5, 105]), 0],
    ['leaves out an overlap once', gaps([30, 50], [45, ONGOING]), 30],
  ])('%s', (_, list, expected) => {
    expect(listeningTimeMs(0, 100, list)).toBe(expected);
  });

  it.each<[string, ListeningGap[], number]>([
    ['without a gap', gaps(), 70],
    ['with a gap before', gaps([50, 69]), 70],
    ['with a gap that ends then', gaps([50, 70]), 50],
    ['with a gap meanwhile', gaps([80, 90]), 60],
    ['with several gaps meanwhile', gaps([40, 60], [65, 75]), 40],
    ['in an ongoing gap', gaps([60, ONGOING]), 30],
    ['with a gap that overlaps an ongoing one', gaps([40, 65], [60, ONGOING]), 10],
  ])('30 ms of listening ago, %s', (_, list, expected) => {
    expect(listenedAgoMs(100, 30, list)).toBe(expected);
  });

  it('the two agree: a time is before the cutoff exactly if more listening time has passed since', () => {
    const someGaps = fc
      .array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 30 })), { maxLength: 8 })
      .map((pairs) => {
        let atMs = 0;
        return pairs.map(([pauseMs, lengthMs]) => {
          const fromMs = atMs + pauseMs;
          atMs = fromMs + lengthMs;
          return { fromMs, toMs: atMs };
        });
      });
    const time = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(
        someGaps,
        time,
        time,
        fc.integer({ min: 0, max: 100 }),
        (list, agoMs, nowMs, durationMs) => {
          const fromMs = nowMs - agoMs;
          const isOlder = listeningTimeMs(fromMs, nowMs, list) > durationMs;
          expect(fromMs < listenedAgoMs(nowMs, durationMs, list)).toBe(isOlder);
        },
      ),
    );
  });
});
