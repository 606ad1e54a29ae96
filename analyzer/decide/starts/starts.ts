/** Starts: which slot needs one now, and why. (From then on: pending.ts.) */
import type { Slot } from '../../../common/model/droplet.ts';
import { holdOnStart } from '../../../common/policy/fleet/holds.ts';
import { listeningTimeMs } from '../../../common/policy/fleet/listening-time.ts';
import { lastHeartbeatMs } from '../../../common/policy/fleet/liveness.ts';
import { forgetAttempts } from '../../../common/policy/slots/attempts.ts';
import { isGivenUp, restartDueMs } from '../../../common/policy/slots/flapping.ts';
import { crashExpiresMs, PROBED_INDEX } from '../../../common/policy/slots/probing.ts';
import {
  graceEndsMs,
  isWanted,
  isWantedIgnoringMassDelete,
  wantedIndices,
} from '../../../common/policy/slots/wanted.ts';
import { overdueAfterMs } from '../../../common/policy/thresholds.ts';
import type { DecisionDraft } from '../decision-draft.ts';
import { closeStartIfDone, raisePriority, recordStart, type StartNeed } from '../pending/pending.ts';
import { setHeld, tidySlot } from '../slots.ts';
import type { StartTriggers } from './start-triggers.ts';

/** Decides the starts of all slots. */
export function decideStarts(draft: DecisionDraft, triggers: StartTriggers): void {
  const { snapshot, slots } = draft;
  const wanted = wantedIndices(snapshot.droplet);
  for (const slot of slots.all()) closeStartIfDone(draft, slot, triggers);
  for (let index = 0; index < wanted; index++) {
    if (snapshot.live.has(index)) requeueAtLossOfDea(draft, index);
    else decideStart(draft, index, triggers);
  }
  if (wanted === 0 && snapshot.droplet.goneMs !== undefined && snapshot.holds.massDelete) {
    for (const index of activeIndices(draft, triggers)) {
      const wasWanted = isWantedIgnoringMassDelete(snapshot.droplet, index, snapshot.holds);
      if (wasWanted && !snapshot.live.has(index)) decideStart(draft, index, triggers);
    }
  }
  for (const slot of slots.all()) tidySlot(draft, slot);
}

/** The slots of a droplet kept only by `mass_delete` that have state, an exit or an EVACUATING instance. */
function activeIndices({ snapshot, slots }: DecisionDraft, triggers: StartTriggers): Set<number> {
  const known = [...slots.all()].map(({ index }) => index);
  return new Set([
    ...known,
    ...triggers.crashed,
    ...triggers.evacuated,
    ...triggers.awaitingPass,
    ...snapshot.evacuating.keys(),
  ]);
}

/** Decides about a slot without a live instance. */
function decideStart(draft: DecisionDraft, index: number, triggers: StartTriggers): void {
  const { snapshot, slots } = draft;
  const { nowMs, settings } = snapshot;
  const slot = slots.get(index);
  if (slot !== undefined && isGivenUp(slot, nowMs, settings)) {
    draft.requeueAt((slot.lastCrashMs ?? nowMs) + settings.flappingTimeoutMs + 1);
    setHeld(draft, index, undefined);
    return;
  }
  const isEvacuated = triggers.evacuated.has(index) || snapshot.evacuating.has(index);
  if (slot?.start !== undefined) {
    if (isEvacuated) raisePriority(draft, slot, slot.start);
    return;
  }
  if (slot !== undefined && index !== PROBED_INDEX && draft.isProbing) {
    draft.requeueAt(crashExpiresMs(slot, snapshot));
    setHeld(draft, index, undefined);
    return;
  }
  if (slot?.retryMs !== undefined && mustWaitForRetry(draft, slot, slot.retryMs, triggers)) return;
  const need = neededStart(draft, index, slots.get(index), triggers, isEvacuated);
  const hold = need === undefined ? undefined : holdOnStart(snapshot, need.reason, index);
  if (need === undefined || hold === undefined) setHeld(draft, index, undefined);
  else setHeld(draft, index, { hold, reason: need.reason });
  if (need !== undefined && hold === undefined) recordStart(draft, index, need);
}

/** A slot whose starts did not help waits for its next try. A new exit is acted on at once, because an instance was there. */
function mustWaitForRetry(
  draft: DecisionDraft,
  slot: Slot,
  retryMs: number,
  triggers: StartTriggers,
): boolean {
  const { index, version } = slot;
  if (triggers.crashed.has(index) || triggers.evacuated.has(index)) {
    forgetAttempts(draft.slots.edit(index, version));
    return false;
  }
  if (draft.snapshot.nowMs >= retryMs) return false;
  draft.requeueAt(retryMs);
  setHeld(draft, index, undefined);
  return true;
}

/** The start that the slot needs, and why; undefined if none, or not yet. */
function neededStart(
  draft: DecisionDraft,
  index: number,
  slot: Slot | undefined,
  triggers: StartTriggers,
  isEvacuated: boolean,
): StartNeed | undefined {
  const { droplet, nowMs, settings } = draft.snapshot;
  const heldFor = slot?.heldFor;
  const isCrashed = triggers.crashed.has(index) || heldFor === 'crashed';
  if (slot?.flapping) {
    // A new crash is not required: its restart may have been dropped, or it came while a start was pending.
    const dueMs = restartDueMs(droplet.id, slot, settings);
    if (isCrashed || heldFor === 'flapping' || nowMs < dueMs) return { reason: 'flapping', dueMs };
  }
  if (isEvacuated || heldFor === 'evacuated') return { reason: 'evacuated' };
  if (isCrashed) return { reason: 'crashed' };
  if (triggers.awaitingPass.has(index)) return { reason: 'crashed' };
  if (!isWanted(droplet, index)) return undefined;
  const graceMs = graceEndsMs(draft.snapshot, index);
  if (nowMs >= graceMs) return { reason: 'missing' };
  draft.requeueAt(graceMs);
  return undefined;
}

/** A live instance is lost when its DEA, which is silent or not known yet, has been silent for `droplet_lost`. */
function requeueAtLossOfDea(draft: DecisionDraft, index: number): void {
  const { live, deas, holds, nowMs, settings } = draft.snapshot;
  for (const instance of live.get(index) ?? []) {
    if (instance.lastListedMs !== undefined) continue;
    const silentMs = listeningTimeMs(lastHeartbeatMs(instance, deas), nowMs, holds.listeningGaps);
    const lossMs = nowMs - silentMs + settings.dropletLostMs + 1;
    if (!deas.has(instance.dea)) draft.requeueAt(lossMs);
    else if (silentMs > overdueAfterMs(settings)) draft.requeueAtLoss(lossMs);
  }
}
