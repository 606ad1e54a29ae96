import { describe, expect, it } from 'vitest';
import type { Droplet, PendingStart, Slot } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const TIMEOUT = SETTINGS.flappingTimeoutMs;

const heartbeatsAt = (nowMs: number) =>
  deas({ 'dea-1': { lastHeartbeatMs: nowMs - 2000, previousHeartbeatMs: nowMs - 12_000 } });

function evaluate(d: Droplet, nowMs = NOW, settings: PolicySettings = SETTINGS) {
  return decide(d, heartbeatsAt(nowMs), holds({ lastPassBegunMs: nowMs - 10 * SECOND }), nowMs, settings);
}

const pending = (over: Partial<PendingStart> = {}): PendingStart => ({
  id: 'r1',
  reason: 'flapping',
  priority: 'high',
  decidedMs: NOW - 10 * SECOND,
  dueMs: NOW + 50 * SECOND,
  ...over,
});

const flapping = (over: Partial<Slot> = {}): Slot =>
  slot({
    crashes: 2,
    lastCrashMs: NOW - 10 * SECOND,
    flapping: true,
    ...over,
  });

describe('given up', () => {
  const givenUp = (over: Partial<Slot> = {}) => flapping({ crashes: 5, lastCrashMs: NOW - TIMEOUT, ...over });

  it('no start of any reason is decided', () => {
    expect(evaluate(droplet({ slots: [givenUp()] })).decisions).toEqual([]);
    const evacuating = [instance('e', { state: 'EVACUATING' })];
    expect(evaluate(droplet({ slots: [givenUp()], instances: evacuating })).decisions).toEqual([]);
    const shutDown = [exit('e', { reason: 'DEA_SHUTDOWN' })];
    expect(evaluate(droplet({ slots: [givenUp()], exits: shutDown })).decisions).toEqual([]);
  });

  it('ends after flapping_timeout without a crash', () => {
    expect(evaluate(droplet({ slots: [givenUp()] })).requeueAtMs).toBe(NOW + 1);
    expect(evaluate(droplet({ slots: [givenUp()] }), NOW + 1).decisions).toMatchObject([
      { kind: 'start', reason: 'missing' },
    ]);
  });

  it('requeues for its end, also if the slot ran in between', () => {
    expect(evaluate(droplet({ slots: [givenUp({ flapping: false })] })).requeueAtMs).toBe(NOW + 1);
  });

  it('ends at a new version, and at an update once a pass came and the grace period ended', () => {
    const pushed = droplet({ slots: [givenUp()], desired: desired({ version: 'v2' }) });
    expect(evaluate(pushed).decisions).toMatchObject([{ kind: 'start', reason: 'missing', version: 'v2' }]);
    const updated = droplet({ slots: [givenUp()], updatedMs: NOW - LOST, listedMs: NOW });
    expect(evaluate(updated).decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('is decided once, and cancels a waiting start', () => {
    const d = droplet({
      slots: [flapping({ crashes: 4, start: pending({ reason: 'missing', priority: 'normal' }) })],
      exits: [exit('dup')],
    });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([
      { kind: 'giveup', index: 0, crashes: 5 },
      { kind: 'cancel', id: 'r1', why: 'given_up' },
    ]);
    const again = { ...applyDecision(d, decided), exits: [...d.exits, exit('dup2')] };
    expect(evaluate(again).decisions).toEqual([]);
  });
});
