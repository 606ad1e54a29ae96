/**
 * A slot that crashes again and again. States of a slot, by its count of crashes:
 *
 *     count <= flapping_death                     restarted at once
 *     flapping_death < count <= giveup            FLAPPING: restarted after a delay that doubles
 *     giveup < count (unless giveup <= 0)         given up, until flapping_timeout passes without a crash
 *
 * A `droplet.updated` or a new version starts the count again.
 */
import { crc32 } from 'node:zlib';
import type { Exit, Slot } from '../model/droplet.ts';
import type { PolicySettings } from './settings.ts';

/** Counts a crash in `slot` (changes it). */
export function countCrash(slot: Slot, exit: Exit, settings: PolicySettings): void {
  slot.crashes = continues(slot, exit, settings) ? slot.crashes + 1 : 1;
  if (exit.crashTimestampS === undefined) delete slot.lastCrashS;
  else slot.lastCrashS = exit.crashTimestampS;
  slot.lastCrashMs = exit.atMs;
  slot.flapping = slot.crashes > settings.flappingDeath;
}

/** By `crash_timestamp`; by when they were heard only where one of the two has none. */
function continues(slot: Slot, exit: Exit, settings: PolicySettings): boolean {
  if (slot.crashes === 0) return false;
  const gapMs =
    slot.lastCrashS !== undefined && exit.crashTimestampS !== undefined
      ? (exit.crashTimestampS - slot.lastCrashS) * 1000
      : exit.atMs - (slot.lastCrashMs ?? exit.atMs);
  return gapMs <= settings.flappingTimeoutMs;
}

/** Whether the slot is given up: it crashed too often, the last time not longer than `flapping_timeout` ago. */
export function isGivenUp(slot: Slot, nowMs: number, settings: PolicySettings): boolean {
  if (settings.giveupCrashNumber <= 0 || slot.crashes <= settings.giveupCrashNumber) return false;
  return nowMs - (slot.lastCrashMs ?? nowMs) <= settings.flappingTimeoutMs;
}

/**
 * When a FLAPPING slot may be restarted (epoch ms): a delay after its last crash was heard that doubles with each
 * crash, and a noise that spreads restarts. The noise is drawn from the crash itself, so every look finds the same.
 */
export function restartDueMs(dropletId: string, slot: Slot, settings: PolicySettings): number {
  const doublings = Math.max(0, slot.crashes - settings.flappingDeath - 1);
  const delayMs = Math.min(settings.maxRestartDelayMs, settings.minRestartDelayMs * 2 ** doublings);
  const noiseMs = settings.delayTimeNoiseMs * noise(dropletId, slot);
  return (slot.lastCrashMs ?? 0) + Math.max(0, Math.round(delayMs + noiseMs));
}

/** -1..1 */
function noise(dropletId: string, slot: Slot): number {
  const crash = `${dropletId} ${slot.index} ${slot.crashes} ${slot.lastCrashS ?? slot.lastCrashMs}`;
  return (crc32(crash) / 0xffff_ffff) * 2 - 1;
}
