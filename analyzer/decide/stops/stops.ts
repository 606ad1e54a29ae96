/** Stops: each surplus instance is stopped as soon as the holds and the controller's own check allow it. */

import { decisionId } from '../../../common/model/decision-id.ts';
import type { PendingStop } from '../../../common/model/droplet.ts';
import type { HoldName } from '../../../common/model/reasons.ts';
import { acceptsStop } from '../../../common/policy/admission.ts';
import { holdOnStop, mayLackInstances } from '../../../common/policy/fleet/holds.ts';
import { listenedAfterMs } from '../../../common/policy/fleet/listening-time.ts';
import { operatorHoldOnStop } from '../../../common/policy/fleet/operator-hold.ts';
import { countRunning } from '../../../common/policy/slots/running-counts.ts';
import {
  contestedWait,
  duplicatesWait,
  extraAppDueMs,
  isStopPending,
  otherVersionsStopping,
  pendingStops,
  type Surplus,
  surplus,
} from '../../../common/policy/slots/surplus.ts';
import { missedByPass } from '../../../common/policy/slots/wanted.ts';
import { heartbeatPollMs } from '../../../common/policy/thresholds.ts';
import type { StopDecision } from '../decision.ts';
import type { DecisionDraft } from '../decision-draft.ts';

/** Decides the stops. Returns the next stops by instance: the same map if none changed. */
export function decideStops(draft: DecisionDraft): ReadonlyMap<string, PendingStop> {
  const { snapshot } = draft;
  const before = snapshot.droplet.stops;
  if (before.size === 0 && snapshot.effectiveStates.size === 0) return before;
  const next = new Map<string, PendingStop>();
  const pending = pendingStops(snapshot);
  for (const guid of pending) keepPending(draft, guid, next);
  cancelGone(draft, next);

  let staysRunning = countRunning(snapshot, pending);
  let otherVersionStopping = otherVersionsStopping(snapshot, pending) > 0;
  for (const found of surplus(snapshot, pending)) {
    const { instance, state } = found;
    const isCurrent = instance.version === snapshot.droplet.desired?.version;
    const stays = state === 'RUNNING' && isCurrent ? staysRunning - 1 : staysRunning;
    if (!acceptsStop(snapshot.droplet, instance, stays, otherVersionStopping)) continue;
    const hold = holdOnStop(snapshot, found.reason, instance);
    if (hold !== undefined) {
      recordHeld(draft, found, hold, next);
      continue;
    }
    staysRunning = stays;
    otherVersionStopping ||= !isCurrent;
    next.set(instance.guid, recordStop(draft, found));
    draft.requeueAt(snapshot.nowMs + snapshot.settings.dropletLostMs);
  }
  if (duplicatesWait(snapshot) || contestedWait(snapshot))
    draft.requeueAt(snapshot.nowMs + Math.min(5000, heartbeatPollMs(snapshot.settings)));
  const { rebuiltMs } = snapshot.droplet;
  if (rebuiltMs !== undefined && mayLackInstances(snapshot))
    draft.requeueAt(rebuiltMs + snapshot.settings.dropletLostMs);
  requeueAtExtraApp(draft);
  return sameAs(before, next) ? before : next;
}

/** Decides the stop and returns it. */
function recordStop(draft: DecisionDraft, { instance, reason }: Surplus): PendingStop {
  const { droplet, nowMs } = draft.snapshot;
  const { guid, index, version } = instance;
  const stop = { instance: guid, id: decisionId(droplet, `stop-${guid}`, nowMs), reason, decidedMs: nowMs };
  draft.decisions.push({ kind: 'stop', id: stop.id, instance: guid, index, version, reason });
  return stop;
}

/** Keeps a pending stop, and requeues the droplet for when it expires or its job must be verified. */
function keepPending(draft: DecisionDraft, guid: string, next: Map<string, PendingStop>): void {
  const { droplet, holds, nowMs, settings } = draft.snapshot;
  const stop = droplet.stops.get(guid);
  if (stop === undefined) return;
  next.set(guid, stop);
  const outcome = droplet.outcomes.get(stop.id);
  const lostMs = settings.dropletLostMs;
  if (outcome !== undefined) {
    draft.requeueAt(listenedAfterMs(outcome.atMs, lostMs, nowMs, holds.listeningGaps) + 1);
    return;
  }
  const waitedMs = nowMs - stop.decidedMs;
  if (waitedMs >= lostMs) draft.verifyJobs.push(stopDecision(draft, stop));
  draft.requeueAt(stop.decidedMs + lostMs * (Math.max(0, Math.floor(waitedMs / lostMs)) + 1));
}

function stopDecision({ snapshot }: DecisionDraft, { id, instance, reason }: PendingStop): StopDecision {
  const known = snapshot.droplet.instances.find(({ guid }) => guid === instance);
  return { kind: 'stop', id, instance, index: known?.index ?? 0, version: known?.version ?? '', reason };
}

/** Cancels waiting stops whose instance is gone already. */
function cancelGone(draft: DecisionDraft, next: ReadonlyMap<string, PendingStop>): void {
  for (const stop of draft.snapshot.droplet.stops.values()) {
    if (next.has(stop.instance) || draft.snapshot.droplet.outcomes.has(stop.id)) continue;
    if (!isStopPending(draft.snapshot, stop)) continue;
    const { id, instance, reason } = stop;
    draft.decisions.push({ kind: 'cancel', what: 'stop', id, instance, reason, why: 'gone' });
  }
}

/** Records the hold that prevents a stop. It is logged when it first applies. */
function recordHeld(
  draft: DecisionDraft,
  found: Surplus,
  hold: HoldName,
  next: Map<string, PendingStop>,
): void {
  const { droplet, nowMs } = draft.snapshot;
  const { guid, index, version } = found.instance;
  const operatorHold = hold === 'operator' ? operatorHoldOnStop(draft.snapshot, found.instance) : undefined;
  draft.requeueSoon(hold, operatorHold?.untilMs);
  const before = droplet.stops.get(guid);
  if (before?.held === hold && before.reason === found.reason) {
    next.set(guid, before);
    return;
  }
  const { reason } = found;
  const id = decisionId(droplet, `hold-${guid}`, nowMs);
  next.set(guid, { instance: guid, id, reason, decidedMs: nowMs, held: hold });
  draft.decisions.push({
    ...{ kind: 'held', what: 'stop', id, instance: guid, index, version, reason, hold },
    ...(operatorHold !== undefined && { operatorHold }),
  });
}

/**
 * Instances of a droplet out of the desired state are surplus once `desired_state_lost` has passed and a complete pass
 * since then did not list the droplet.
 */
function requeueAtExtraApp(draft: DecisionDraft): void {
  const { snapshot } = draft;
  if (snapshot.effectiveStates.size === 0) return;
  const dueMs = extraAppDueMs(snapshot);
  if (dueMs === undefined) return;
  if (snapshot.nowMs < dueMs) draft.requeueAt(dueMs);
  else if (!missedByPass(snapshot.droplet, snapshot.holds)) draft.requeueSoon();
}

function sameAs(before: ReadonlyMap<string, PendingStop>, next: ReadonlyMap<string, PendingStop>): boolean {
  if (before.size !== next.size) return false;
  for (const [guid, stop] of next) if (before.get(guid) !== stop) return false;
  return true;
}
