/**
 * `probe_crashed_apps`: while every wanted index of a droplet has crashed and none runs, only index 0 is restarted, as a probe. An
 * app that cannot run costs one start at a time then, and the others follow when the probe is RUNNING.
 */
import type { Slot } from '../../model/droplet.ts';
import type { Snapshot } from '../snapshot.ts';
import { isWanted, wantedIndices } from './wanted.ts';

/** The index that is restarted. */
export const PROBED_INDEX = 0;

/** Whether only `PROBED_INDEX` may be started. @param slots by index */
export function isProbing(snapshot: Snapshot, slots: { get(index: number): Slot | undefined }): boolean {
  const { droplet, effectiveStates, settings } = snapshot;
  if (!settings.probeCrashedApps) return false;
  const wanted = wantedIndices(droplet);
  if (wanted < 2) return false;
  for (let index = 0; index < wanted; index++) if (!hasCrashed(snapshot, slots.get(index))) return false;
  for (const [{ version, index }, state] of effectiveStates) {
    if (state !== 'STARTING' && version === droplet.desired?.version && isWanted(droplet, index))
      return false;
  }
  return true;
}

/** When the crash of a slot is too old to count here (epoch ms), so that nothing waits for a probe that never runs. */
export function crashExpiresMs({ lastCrashMs = 0 }: Slot, { settings }: Snapshot): number {
  return lastCrashMs + settings.flappingTimeoutMs + 1;
}

function hasCrashed(snapshot: Snapshot, slot: Slot | undefined): boolean {
  if (slot === undefined || slot.version !== snapshot.droplet.desired?.version) return false;
  return slot.crashes > 0 && snapshot.nowMs < crashExpiresMs(slot, snapshot);
}
