/** What is remembered of a slot besides its start: the hold that it waits for, and its crashes for as long as they matter. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { HoldName, Slot, StartReason } from '../../common/model/droplet.ts';
import { isWantedAsLastKnown } from '../../common/policy/wanted.ts';
import type { Scene } from './decision-draft.ts';

/** Remembers, and says once, that a hold keeps the slot from being started. */
export function setHeld(
  scene: Scene,
  index: number,
  held: { hold: HoldName; reason: StartReason } | undefined,
): void {
  const before = scene.slots.get(index);
  const { droplet, now } = scene.sight;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (before?.held !== undefined) endHeld(scene.slots.edit(index, version));
    return;
  }
  scene.lookSoon(held.hold);
  // An exit that waits for a pass is not handled yet: it tells again, by what the pass brings.
  const heldFor = held.hold === 'update_required' || held.reason === 'missing' ? undefined : held.reason;
  if (before?.held === held.hold && before.heldFor === heldFor) return;
  const slot = scene.slots.edit(index, version);
  endHeld(slot);
  slot.held = held.hold;
  if (heldFor !== undefined) slot.heldFor = heldFor;
  const id = decisionId(droplet, `held-${index}`, now);
  scene.decisions.push({ kind: 'held', what: 'start', id, index, version, ...held });
}

function endHeld(slot: Slot): void {
  delete slot.held;
  delete slot.heldFor;
}

/** A slot leaves FLAPPING when it runs again, or has not crashed for long; one with nothing to remember is forgotten. */
export function tidySlot(
  scene: Scene,
  { index, version, crashes, lastCrashMs, flapping, held, start }: Slot,
): void {
  const { droplet, holds, live, now, settings } = scene.sight;
  const isLive = live.has(index);
  if (held !== undefined && (isLive || !isWantedAsLastKnown(droplet, index, holds))) {
    endHeld(scene.slots.edit(index, version));
  }
  const timeoutMs = settings.flappingTimeoutMs;
  if (flapping) {
    const over = start === undefined && now - (lastCrashMs ?? 0) > timeoutMs;
    if (isLive || over) scene.slots.edit(index, version).flapping = false;
    else if (start === undefined) scene.look((lastCrashMs ?? 0) + timeoutMs + 1);
  }
  // Twice as long: the count goes by the crashes' own time stamps, which the next message may bring late.
  const remembers = crashes > 0 && now - (lastCrashMs ?? 0) <= 2 * timeoutMs;
  const slot = scene.slots.get(index);
  if (slot?.start !== undefined || slot?.held !== undefined || slot?.flapping) return;
  if (remembers) scene.look((lastCrashMs ?? 0) + 2 * timeoutMs + 1);
  else scene.slots.remove(index);
}
