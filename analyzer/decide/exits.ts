/** Applies what happened since the last reconcile: a new version, a `droplet.updated`, an operator's retry, exits. Counts crashes. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Exit, Slot } from '../../common/model/droplet.ts';
import type { DropReason } from '../../common/model/reasons.ts';
import { updateRequired } from '../../common/policy/fleet/holds.ts';
import { isListed } from '../../common/policy/fleet/liveness.ts';
import { forgetAttempts } from '../../common/policy/slots/attempts.ts';
import { countCrash, isGivenUp } from '../../common/policy/slots/flapping.ts';
import { isWantedIgnoringMassDelete } from '../../common/policy/slots/wanted.ts';
import type { Snapshot } from '../../common/policy/snapshot.ts';
import type { DecisionDraft } from './decision-draft.ts';
import { cancelStart } from './pending/pending.ts';
import { addTrigger, type StartTriggers } from './starts/start-triggers.ts';

/** Processes all events that no earlier reconcile has processed. Returns the starts that they trigger. */
export function processEvents(draft: DecisionDraft): StartTriggers {
  const { droplet, holds } = draft.snapshot;
  const triggers: StartTriggers = {
    crashed: new Set(),
    evacuated: new Set(),
    awaitingPass: new Set(),
    handledExits: droplet.handledExits,
  };
  if (droplet.slots.size > 0) {
    dropOldVersions(draft);
    if (droplet.updatedMs !== droplet.handledUpdateMs) resetAll(draft);
    for (const index of droplet.retries?.keys() ?? []) retry(draft, index);
  }
  if (droplet.exits.length === 0) return triggers;
  const newExits = droplet.exits.filter((exit) => exit.n > droplet.handledExits).sort((a, b) => a.n - b.n);
  const isUpdateRequired = newExits.length > 0 && updateRequired(draft.snapshot);
  if (isUpdateRequired) draft.requeueSoon('update_required');
  let mustWait = isUpdateRequired;
  for (const exit of newExits) {
    if (!mustWait && mayBeListedNext(draft.snapshot, exit)) {
      mustWait = true;
      draft.requeueSoon();
    }
    const isCurrent = exit.version === droplet.desired?.version;
    if (isCurrent && isWantedIgnoringMassDelete(droplet, exit.index, holds)) {
      if (mustWait) triggers.awaitingPass.add(exit.index);
      else processExit(draft, exit, triggers);
    }
    if (!mustWait) triggers.handledExits = exit.n;
  }
  return triggers;
}

function processExit(draft: DecisionDraft, exit: Exit, triggers: StartTriggers): void {
  if (exit.reason === 'CRASHED' && isCounted(draft.snapshot, exit)) addCrash(draft, exit);
  addTrigger(exit, triggers);
}

/**
 * Whether no pass has listed the droplet yet, and the next one may: an app may crash before the pass that first lists it.
 * Exits are numbered, so those that follow wait with it.
 */
function mayBeListedNext({ droplet, holds }: Snapshot, exit: Exit): boolean {
  if (droplet.desired !== undefined) return false;
  return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= exit.atMs;
}

/**
 * Whether the crash is later than the update that reset the count, and the first one of its instance. A made-up crash must
 * not give up a healthy slot: one of an instance that no heartbeat listed does not count while another is listed and live.
 */
function isCounted({ droplet, live }: Snapshot, exit: Exit): boolean {
  if (droplet.updatedMs !== undefined && exit.atMs < droplet.updatedMs) return false;
  const wasListed = droplet.instances.some(({ guid }) => guid === exit.instance);
  if (!wasListed && live.get(exit.index)?.some(isListed)) return false;
  return !droplet.exits.some(
    (other) => other.instance === exit.instance && other.reason === 'CRASHED' && other.n < exit.n,
  );
}

function addCrash(draft: DecisionDraft, exit: Exit): void {
  const { droplet, nowMs, settings } = draft.snapshot;
  const before = draft.slots.get(exit.index);
  const wasGivenUp = before !== undefined && isGivenUp(before, nowMs, settings);
  const slot = draft.slots.edit(exit.index, exit.version);
  countCrash(slot, exit, settings);
  if (wasGivenUp || !isGivenUp(slot, nowMs, settings)) return;
  draft.decisions.push({
    kind: 'giveup',
    id: decisionId(droplet, `giveup-${exit.index}`, nowMs),
    index: exit.index,
    version: exit.version,
    crashes: slot.crashes,
  });
}

function dropOldVersions(draft: DecisionDraft): void {
  const { droplet } = draft.snapshot;
  for (const slot of draft.slots.all()) {
    if (slot.version === droplet.desired?.version) continue;
    cancelStart(draft, slot, 'not_wanted');
    draft.slots.remove(slot.index);
  }
}

/** A `droplet.updated` resets all crash counts and attempts. */
function resetAll(draft: DecisionDraft): void {
  for (const slot of draft.slots.all()) resetSlot(draft, slot, 'updated');
}

/** An operator asked for another try: a given-up, flapping or unplaced slot is missing like any other. */
function retry(draft: DecisionDraft, index: number): void {
  const slot = draft.slots.get(index);
  if (slot !== undefined) resetSlot(draft, slot, 'retried');
}

/**
 * Resets the crash count and the attempts. It cancels a pending restart, and a start that waits behind all others because
 * earlier ones did not help.
 */
function resetSlot(draft: DecisionDraft, before: Slot, why: DropReason): void {
  const { index, version, crashes, flapping, start, attempts } = before;
  const isDelayed = start?.reason === 'flapping' || attempts !== undefined;
  const hasPendingRestart =
    start !== undefined && isDelayed && !draft.snapshot.droplet.outcomes.has(start.id);
  if (crashes === 0 && !flapping && attempts === undefined && !hasPendingRestart) return;
  const slot = draft.slots.edit(index, version);
  forgetAttempts(slot);
  slot.crashes = 0;
  slot.flapping = false;
  delete slot.lastCrashMs;
  if (!hasPendingRestart) return;
  cancelStart(draft, slot, why);
  delete slot.start;
}
