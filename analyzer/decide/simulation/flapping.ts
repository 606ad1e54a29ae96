/** Slots that flap, and what is decided about them. */
import type { Droplet, PendingStart, Slot } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { deas, holds, NOW, SECOND, SETTINGS, slot } from '../../../common/testing/builders.ts';
import { type DecisionResult, decide } from '../decide.ts';

export const TIMEOUT = SETTINGS.flappingTimeoutMs;

const heartbeatsAt = (nowMs: number) =>
  deas({ 'dea-1': { lastHeartbeatMs: nowMs - 2000, previousHeartbeatMs: nowMs - 12_000 } });

/** Decides while the DEA sends heartbeats and the latest pass is recent. */
export function evaluate(d: Droplet, nowMs = NOW, settings: PolicySettings = SETTINGS): DecisionResult {
  return decide(d, heartbeatsAt(nowMs), holds({ lastPassBegunMs: nowMs - 10 * SECOND }), nowMs, settings);
}

/** A restart that is due later. */
export const pending = (over: Partial<PendingStart> = {}): PendingStart => ({
  id: 'r1',
  reason: 'flapping',
  priority: 'high',
  decidedMs: NOW - 10 * SECOND,
  dueMs: NOW + 50 * SECOND,
  ...over,
});

/** A slot that has crashed twice. */
export const flapping = (over: Partial<Slot> = {}): Slot =>
  slot({
    crashes: 2,
    lastCrashMs: NOW - 10 * SECOND,
    flapping: true,
    ...over,
  });
