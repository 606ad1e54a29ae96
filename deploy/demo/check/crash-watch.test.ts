import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fakeBus } from '../testing/bus.ts';
import { CrashWatch } from './crash-watch.ts';

let bus: ReturnType<typeof fakeBus>;
let watch: CrashWatch;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  bus = fakeBus();
  watch = new CrashWatch('crasher', bus);
});
afterEach(() => {
  vi.useRealTimers();
});

/** The app crashes after each start; its restarts follow after these delays. */
function crashing(...delaysS: number[]): void {
  bus.publish('health.start', { droplet: 'crasher' });
  for (const delayS of delaysS) {
    bus.publish('droplet.exited', { droplet: 'crasher' });
    vi.advanceTimersByTime(delayS * 1000);
    bus.publish('health.start', { droplet: 'crasher' });
  }
  bus.publish('droplet.exited', { droplet: 'crasher' });
}

test('restarts with the configured delays, then none, are correct', () => {
  crashing(0.1, 2.1, 3.9, 8.2);
  expect(watch.restarts.map((gapS) => gapS.toFixed(1))).toEqual(['0.1', '2.1', '3.9', '8.2']);
  expect(watch.done).toBe(false); // another restart could still come
  vi.advanceTimersByTime(10_000);
  expect(watch.done).toBe(true);
  expect(watch.problem).toBeUndefined();
});

test.each([
  ['the first one is late', [2], 'restart 1 came after 2.0 s, expected 0 s'],
  ['one comes too early', [0, 1], 'restart 2 came after 1.0 s, expected 2 s'],
  ['delays do not grow', [0, 2, 2], 'restart 3 came after 2.0 s, expected 4 s'],
  ['one comes too late', [0, 2, 4, 12], 'restart 4 came after 12.0 s, expected 8 s'],
  ['the app is not given up', [0, 2, 4, 8, 8], 'started again after 5 crashes'],
])('%s', (_, delaysS, problem) => {
  crashing(...delaysS);
  expect(watch.problem).toBe(problem);
  expect(watch.done).toBe(true);
});

test('it is not done before the last crash', () => {
  crashing(0, 2);
  vi.advanceTimersByTime(60_000);
  expect(watch.done).toBe(false);
});

test('other apps are ignored', () => {
  bus.publish('droplet.exited', { droplet: 'web' });
  bus.publish('droplet.exited', 'nonsense');
  bus.publish('health.start', { droplet: 'web' });
  expect(watch.restarts).toEqual([]);
});
