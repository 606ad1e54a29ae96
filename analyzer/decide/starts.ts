/** Starts: which slot needs one now, and why. (From then on: pending.ts.) */
import type { Slot } from '../../common/model/droplet.ts';
import { isGivenUp, restartDueMs } from '../../common/policy/flapping.ts';
import { holdOnStart } from '../../common/policy/holds.ts';
import { lastHeartbeatMs } from '../../common/policy/liveness.ts';
import {
  graceEndsMs,
  isWanted,
  isWantedIgnoringMassDelete,
  wantedIndices,
} from '../../common/policy/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';
import { closeStartIfDone, raisePriority, recordStart, type StartNeed } from './pending.ts';
import { setHeld, tidySlot } from './slots.ts';
import type { StartTriggers } from './start-triggers.ts';

/** Decides the starts of all slots. */
export function decideStarts(draft: DecisionDraft, events: StartTriggers): void {
  const { snapshot, slots } = draft;
  const wanted = wantedIndices(snapshot.droplet);
  for (const slot of slots.all()) closeStartIfDone(draft, slot, events);
  for (let index = 0; index < wanted; index++) {
    if (snapshot.live.has(index)) watchSilence(draft, index);
    else decideStart(draft, index, events);
  }
  if (wanted === 0 && snapshot.droplet.goneMs !== undefined && snapshot.holds.massDelete) {
    for (const index of indicesOf(draft, events)) {
      const asBefore = isWantedIgnoringMassDelete(snapshot.droplet, index, snapshot.holds);
      if (asBefore && !snapshot.live.has(index)) decideStart(draft, index, events);
    }
  }
  for (const slot of slots.all()) tidySlot(draft, slot);
}

/** Of a droplet that only `mass_delete` keeps: the slots to which something happened. */
function indicesOf({ snapshot, slots }: DecisionDraft, events: StartTriggers): Set<number> {
  const known = [...slots.all()].map(({ index }) => index);
  return new Set([
    ...known,
    ...events.crashed,
    ...events.evacuated,
    ...events.waiting,
    ...snapshot.evacuating.keys(),
  ]);
}

/** Decides about a slot without a live instance. */
function decideStart(draft: DecisionDraft, index: number, events: StartTriggers): void {
  const { snapshot, slots } = draft;
  const { nowMs, settings } = snapshot;
  const slot = slots.get(index);
  if (slot !== undefined && isGivenUp(slot, nowMs, settings)) {
    draft.requeueAt((slot.lastCrashMs ?? nowMs) + settings.flappingTimeoutMs + 1);
    setHeld(draft, index, undefined);
    return;
  }
  const evacuated = events.evacuated.has(index) || snapshot.evacuating.has(index);
  if (slot?.start !== undefined) {
    if (evacuated) raisePriority(draft, slot, slot.start);
    return;
  }
  const need = neededStart(draft, index, slot, events, evacuated);
  const hold = need === undefined ? undefined : holdOnStart(snapshot, need.reason, index);
  if (need === undefined || hold === undefined) setHeld(draft, index, undefined);
  else setHeld(draft, index, { hold, reason: need.reason });
  if (need !== undefined && hold === undefined) recordStart(draft, index, need);
}

/** The start that the slot needs, and why; undefined if none, or not yet. */
function neededStart(
  draft: DecisionDraft,
  index: number,
  slot: Slot | undefined,
  events: StartTriggers,
  evacuated: boolean,
): StartNeed | undefined {
  const { droplet, nowMs, settings } = draft.snapshot;
  const heldFor = slot?.heldFor;
  const crashed = events.crashed.has(index) || heldFor === 'crashed';
  if (slot?.flapping) {
    // Also without news of a crash: its answer may have been dropped, or it came while a start was on its way.
    const dueMs = restartDueMs(droplet.id, slot, settings);
    if (crashed || heldFor === 'flapping' || nowMs < dueMs) return { reason: 'flapping', dueMs };
  }
  if (evacuated || heldFor === 'evacuated') return { reason: 'evacuated' };
  if (crashed) return { reason: 'crashed' };
  if (events.waiting.has(index)) return { reason: 'crashed' };
  if (!isWanted(droplet, index)) return undefined;
  const timeMs = graceEndsMs(droplet, index, settings);
  if (nowMs >= timeMs) return { reason: 'missing' };
  draft.requeueAt(timeMs);
  return undefined;
}

/** A live instance whose DEA is silent already, or not known yet, will be lost if the DEA stays so. */
function watchSilence(draft: DecisionDraft, index: number): void {
  const { live, deas, nowMs, settings } = draft.snapshot;
  for (const instance of live.get(index) ?? []) {
    if (instance.lastListedMs !== undefined) continue;
    const silentMs = nowMs - lastHeartbeatMs(instance, deas);
    const lossMs = nowMs - silentMs + settings.dropletLostMs + 1;
    if (!deas.has(instance.dea)) draft.requeueAt(lossMs);
    else if (silentMs > settings.dropletLostMs / 2) draft.requeueAtLoss(lossMs);
  }
}
