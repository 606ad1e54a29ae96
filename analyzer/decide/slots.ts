/** What a slot remembers besides its start: the hold that prevents it, and its crashes as long as they matter. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Slot } from '../../common/model/droplet.ts';
import type { HoldName, StartReason } from '../../common/model/reasons.ts';
import { isWantedIgnoringMassDelete } from '../../common/policy/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';

/** Records the hold that prevents the start of a slot (undefined: none). It is logged when it first applies. */
export function setHeld(
  draft: DecisionDraft,
  index: number,
  held: { hold: HoldName; reason: StartReason } | undefined,
): void {
  const before = draft.slots.get(index);
  const { droplet, nowMs } = draft.snapshot;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (before?.held !== undefined) clearHeld(draft.slots.edit(index, version));
    return;
  }
  draft.requeueSoon(held.hold);
  // Under update_required the exit stays unprocessed, so it triggers the start again after the pass.
  const heldFor = held.hold === 'update_required' || held.reason === 'missing' ? undefined : held.reason;
  if (before?.held === held.hold && before.heldFor === heldFor) return;
  const slot = draft.slots.edit(index, version);
  clearHeld(slot);
  slot.held = held.hold;
  if (heldFor !== undefined) slot.heldFor = heldFor;
  const id = decisionId(droplet, `held-${index}`, nowMs);
  draft.decisions.push({ kind: 'held', what: 'start', id, index, version, ...held });
}

function clearHeld(slot: Slot): void {
  delete slot.held;
  delete slot.heldFor;
}

/**
 * Clears what no longer applies to a slot. It leaves FLAPPING when an instance is live again or `flapping_timeout` has
 * passed without a crash. A slot with nothing to remember is removed.
 */
export function tidySlot(
  draft: DecisionDraft,
  { index, version, crashes, lastCrashMs, flapping, held, start }: Slot,
): void {
  const { droplet, holds, live, nowMs, settings } = draft.snapshot;
  const isLive = live.has(index);
  if (held !== undefined && (isLive || !isWantedIgnoringMassDelete(droplet, index, holds))) {
    clearHeld(draft.slots.edit(index, version));
  }
  const timeoutMs = settings.flappingTimeoutMs;
  if (flapping) {
    const isOver = start === undefined && nowMs - (lastCrashMs ?? 0) > timeoutMs;
    if (isLive || isOver) draft.slots.edit(index, version).flapping = false;
    else if (start === undefined) draft.requeueAt((lastCrashMs ?? 0) + timeoutMs + 1);
  }
  // Twice the timeout: the count goes by the crashes' own timestamps, and the next exit may arrive late.
  const remembersCrashes = crashes > 0 && nowMs - (lastCrashMs ?? 0) <= 2 * timeoutMs;
  const slot = draft.slots.get(index);
  if (slot?.start !== undefined || slot?.held !== undefined || slot?.flapping) return;
  if (remembersCrashes) draft.requeueAt((lastCrashMs ?? 0) + 2 * timeoutMs + 1);
  else draft.slots.remove(index);
}
