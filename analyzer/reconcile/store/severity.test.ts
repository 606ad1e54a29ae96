import { expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import { desired, droplet, instance, LOST, NOW, SECOND, SETTINGS } from '../../../common/testing/builders.ts';
import { decide } from '../../decide/decide.ts';
import { severityOf } from './severity.ts';

const HOLDS = {
  ...{ desiredUnavailable: false, actualNotFresh: false, massLossDeas: new Set<string>(), massDelete: false },
  lastPassBegunMs: NOW - SECOND,
};
const deas = new Map([['dea-1', { lastHeartbeatMs: NOW - SECOND, previousHeartbeatMs: NOW - 11 * SECOND }]]);

function severity(of: Droplet): number {
  const decided = decide(of, deas, HOLDS, NOW, SETTINGS);
  return severityOf({ droplet: of, decided, deas, nowMs: NOW, lostBeforeMs: NOW - LOST }, SETTINGS);
}

const running = (count: number) =>
  Array.from({ length: count }, (_, index) => instance(`i${index}`, { index }));
const app = (wanted: number, live: number, more: Parameters<typeof droplet>[0] = {}) =>
  severity(droplet({ desired: desired({ instances: wanted }), instances: running(live), ...more }));

test('a healthy droplet has severity 0', () => {
  expect(app(3, 3)).toBe(0);
  expect(app(40, 40)).toBe(0);
});

test('a slot in its grace period is not missing, and comes after everything else', () => {
  const expected = app(3, 0, { firstSeenMs: NOW - LOST + SECOND });
  expect(expected).toBeGreaterThan(0);
  expect(expected).toBeLessThan(app(2, 3));
  expect(app(3, 3, { firstSeenMs: NOW - LOST + SECOND })).toBe(0);
  expect(app(3, 0, { firstSeenMs: NOW - LOST })).toBeGreaterThan(1);
});

test('ordered by the missing share, then by the number missing, then droplets with surplus', () => {
  const worstFirst = [
    app(8, 0),
    app(2, 0),
    app(2, 1),
    app(100, 60),
    app(10, 9),
    app(100, 99),
    app(2, 4),
    app(2, 3),
  ];
  expect([...worstFirst].sort((a, b) => b - a)).toEqual(worstFirst);
  expect(new Set(worstFirst).size).toBe(worstFirst.length);
  expect(app(2, 3)).toBeGreaterThan(0);
  expect(app(2, 3)).toBeLessThan(1);
});
