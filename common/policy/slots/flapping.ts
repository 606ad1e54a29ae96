/**
 * States of a slot, by its crash count:
 *
 *     count <= flapping_death                             restarted at once
 *     flapping_death < count <= giveup_crash_number       FLAPPING: restarted after a delay that doubles
 *     giveup_crash_number < count (if that is above 0)    given up, until flapping_timeout passes without a crash
 *
 * A `droplet.updated` or a new version resets the count.
 */
import { crc32 } from 'node:zlib';
import type { Exit, Slot } from '../../model/droplet.ts';
import type { PolicySettings } from '../settings.ts';

/** Counts a crash; changes `slot`. */
export function countCrash(slot: Slot, exit: Exit, settings: PolicySettings): void {
  slot.crashes = isInARow(slot, exit, settings) ? slot.crashes + 1 : 1;
  slot.lastCrashMs = exit.atMs;
  slot.flapping = slot.crashes > settings.flappingDeath;
}

/** By the times of receipt: `crash_timestamp`s are of the clocks of several DEAs, which differ. */
function isInARow({ crashes, lastCrashMs }: Slot, exit: Exit, settings: PolicySettings): boolean {
  return crashes > 0 && exit.atMs - (lastCrashMs ?? exit.atMs) <= settings.flappingTimeoutMs;
}

/** Whether the slot is given up: it crashed too often, and the last time at most `flapping_timeout` ago. */
export function isGivenUp(slot: Slot, nowMs: number, settings: PolicySettings): boolean {
  if (settings.giveupCrashNumber <= 0 || slot.crashes <= settings.giveupCrashNumber) return false;
  return nowMs - (slot.lastCrashMs ?? nowMs) <= settings.flappingTimeoutMs;
}

/**
 * When a FLAPPING slot is restarted (epoch ms): after its last crash was received, plus a delay that doubles with each crash,
 * plus noise that spreads restarts. The noise is a hash of the crash, so every reconcile computes the same time.
 */
export function restartDueMs(dropletId: string, slot: Slot, settings: PolicySettings): number {
  const doublings = Math.max(0, slot.crashes - settings.flappingDeath - 1);
  const delayMs = Math.min(settings.maxRestartDelayMs, settings.minRestartDelayMs * 2 ** doublings);
  const noiseMs = settings.delayTimeNoiseMs * noise(dropletId, slot);
  return (slot.lastCrashMs ?? 0) + Math.max(0, Math.round(delayMs + noiseMs));
}

/** -1..1 */
function noise(dropletId: string, slot: Slot): number {
  const crash = `${dropletId} ${slot.index} ${slot.crashes} ${slot.lastCrashMs}`;
  return (crc32(crash) / 0xffff_ffff) * 2 - 1;
}
