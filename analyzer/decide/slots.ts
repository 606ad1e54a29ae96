/** What a slot remembers besides its start: the hold that prevents it, and its crashes as long as they matter. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Slot } from '../../common/model/droplet.ts';
import type { StartReason } from '../../common/model/reasons.ts';
import type { StartWait } from '../../common/policy/fleet/holds.ts';
import { operatorHoldOnStart } from '../../common/policy/fleet/operator-hold.ts';
import { forgetAttempts } from '../../common/policy/slots/attempts.ts';
import { isWantedIgnoringMassDelete } from '../../common/policy/slots/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';

/**
 * Records the hold that prevents the start of a slot (undefined: none). It is logged when it first applies. Of a start that only
 * waits for an evaluation nothing is recorded but the event that it answers.
 */
export function setHeld(
  draft: DecisionDraft,
  index: number,
  held: { hold: StartWait; reason: StartReason } | undefined,
): void {
  const before = draft.slots.get(index);
  const { droplet, nowMs } = draft.snapshot;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (isHeld(before)) clearHeld(draft.slots.edit(index, version));
    return;
  }
  const operatorHold = held.hold === 'operator' ? operatorHoldOnStart(draft.snapshot, index) : undefined;
  draft.requeueSoon(held.hold, operatorHold?.untilMs);
  const hold = held.hold === 'evaluating' ? undefined : held.hold;
  // Under update_required the exit stays unprocessed, so it triggers the start again after the pass.
  const heldFor = held.hold === 'update_required' || held.reason === 'missing' ? undefined : held.reason;
  if (before?.held === hold && before?.heldFor === heldFor) return;
  const slot = draft.slots.edit(index, version);
  clearHeld(slot);
  if (heldFor !== undefined) slot.heldFor = heldFor;
  if (hold === undefined) return;
  slot.held = hold;
  const id = decisionId(droplet, `held-${index}`, nowMs);
  draft.decisions.push({
    ...{ kind: 'held', what: 'start', id, index, version, hold, reason: held.reason },
    ...(operatorHold !== undefined && { operatorHold }),
  });
}

function isHeld(slot: { held?: unknown; heldFor?: unknown } | undefined): boolean {
  return slot?.held !== undefined || slot?.heldFor !== undefined;
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
  { index, version, crashes, lastCrashMs, flapping, held, heldFor, start, attempts }: Slot,
): void {
  const { droplet, holds, live, nowMs, settings } = draft.snapshot;
  const isLive = live.has(index);
  if (isHeld({ held, heldFor }) || attempts !== undefined) {
    const needsNothing = isLive || !isWantedIgnoringMassDelete(droplet, index, holds);
    if (needsNothing && isHeld({ held, heldFor })) clearHeld(draft.slots.edit(index, version));
    if (needsNothing && attempts !== undefined) forgetAttempts(draft.slots.edit(index, version));
  }
  const timeoutMs = settings.flappingTimeoutMs;
  if (flapping) {
    const isOver = start === undefined && nowMs - (lastCrashMs ?? 0) > timeoutMs;
    if (isLive || isOver) draft.slots.edit(index, version).flapping = false;
    else if (start === undefined) draft.requeueAt((lastCrashMs ?? 0) + timeoutMs + 1);
  }
  // Twice the timeout, because an exit that waited in a stopped process is dated back.
  const remembersCrashes = crashes > 0 && nowMs - (lastCrashMs ?? 0) <= 2 * timeoutMs;
  const slot = draft.slots.get(index);
  if (slot?.start !== undefined || slot?.attempts !== undefined || isHeld(slot) || slot?.flapping) return;
  if (remembersCrashes) draft.requeueAt((lastCrashMs ?? 0) + 2 * timeoutMs + 1);
  else draft.slots.remove(index);
}
