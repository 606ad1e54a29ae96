/** What is remembered of a slot besides its start: the hold that it waits for, and its crashes for as long as they matter. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { HoldName, Slot, StartReason } from '../../common/model/droplet.ts';
import { isWantedIgnoringMassDelete } from '../../common/policy/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';

/** Remembers, and says once, that a hold keeps the slot from being started. */
export function setHeld(
  draft: DecisionDraft,
  index: number,
  held: { hold: HoldName; reason: StartReason } | undefined,
): void {
  const before = draft.slots.get(index);
  const { droplet, nowMs } = draft.snapshot;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (before?.held !== undefined) endHeld(draft.slots.edit(index, version));
    return;
  }
  draft.requeueSoon(held.hold);
  // An exit that waits for a pass is not handled yet: it tells again, by what the pass brings.
  const heldFor = held.hold === 'update_required' || held.reason === 'missing' ? undefined : held.reason;
  if (before?.held === held.hold && before.heldFor === heldFor) return;
  const slot = draft.slots.edit(index, version);
  endHeld(slot);
  slot.held = held.hold;
  if (heldFor !== undefined) slot.heldFor = heldFor;
  const id = decisionId(droplet, `held-${index}`, nowMs);
  draft.decisions.push({ kind: 'held', what: 'start', id, index, version, ...held });
}

function endHeld(slot: Slot): void {
  delete slot.held;
  delete slot.heldFor;
}

/** A slot leaves FLAPPING when it runs again, or has not crashed for long; one with nothing to remember is forgotten. */
export function tidySlot(
  draft: DecisionDraft,
  { index, version, crashes, lastCrashMs, flapping, held, start }: Slot,
): void {
  const { droplet, holds, live, nowMs, settings } = draft.snapshot;
  const isLive = live.has(index);
  if (held !== undefined && (isLive || !isWantedIgnoringMassDelete(droplet, index, holds))) {
    endHeld(draft.slots.edit(index, version));
  }
  const timeoutMs = settings.flappingTimeoutMs;
  if (flapping) {
    const over = start === undefined && nowMs - (lastCrashMs ?? 0) > timeoutMs;
    if (isLive || over) draft.slots.edit(index, version).flapping = false;
    else if (start === undefined) draft.requeueAt((lastCrashMs ?? 0) + timeoutMs + 1);
  }
  // Twice as long: the count goes by the crashes' own time stamps, which the next message may bring late.
  const remembers = crashes > 0 && nowMs - (lastCrashMs ?? 0) <= 2 * timeoutMs;
  const slot = draft.slots.get(index);
  if (slot?.start !== undefined || slot?.held !== undefined || slot?.flapping) return;
  if (remembers) draft.requeueAt((lastCrashMs ?? 0) + 2 * timeoutMs + 1);
  else draft.slots.remove(index);
}
