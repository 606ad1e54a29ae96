/** Surplus: which running instances should be stopped, and why. */
import type { Instance, PendingStop } from '../../model/droplet.ts';
import type { StopReason } from '../../model/reasons.ts';
import { mayLackInstances } from '../fleet/holds.ts';
import { type Deas, type EffectiveState, isListed } from '../fleet/liveness.ts';
import type { Snapshot } from '../snapshot.ts';
import { isDesired, isWanted, mayBeRenamed, missedByPass, notDesiredSinceMs } from './wanted.ts';

/** An instance that runs and should not. A hold or the controller's own check may still forbid its stop. */
export interface Surplus {
  instance: Instance;
  state: EffectiveState;
  reason: StopReason;
}

/** Whether a decided stop of a running instance is pending: while it waits, and for `droplet_lost` of listening after it was sent. */
export function isStopPending({ droplet, lostBeforeMs }: Snapshot, stop: PendingStop): boolean {
  if (stop.held !== undefined) return false;
  const outcome = droplet.outcomes.get(stop.id);
  if (outcome === undefined) return true;
  return outcome.outcome === 'sent' && outcome.atMs >= lostBeforeMs;
}

/**
 * An instance that left its DEA's list needs no stop, so a stop that waits is not pending any more. One that was sent still is:
 * a DEA that lists only a new instance in one heartbeat lists the others again in the next.
 *
 * @returns guids of the running instances whose stop is pending
 */
export function pendingStops(snapshot: Snapshot): Set<string> {
  const guids = new Set<string>();
  if (snapshot.droplet.stops.size === 0) return guids;
  const { stops, outcomes } = snapshot.droplet;
  for (const instance of snapshot.effectiveStates.keys()) {
    const { guid } = instance;
    const stop = stops.get(guid);
    if (stop === undefined || !isStopPending(snapshot, stop)) continue;
    if (isListed(instance) || outcomes.has(stop.id)) guids.add(guid);
  }
  return guids;
}

/**
 * All surplus instances without a pending stop, in the order in which they are stopped. Other versions come first, then
 * instances that are not RUNNING, because the controller counts RUNNING ones; then the highest index.
 *
 * @param pending guids of the instances whose stop is pending
 */
export function surplus(snapshot: Snapshot, pending: ReadonlySet<string>): Surplus[] {
  const found: Surplus[] = [];
  for (const [instance, state] of snapshot.effectiveStates) {
    if (pending.has(instance.guid) || !isListed(instance)) continue;
    const reason = surplusReason(snapshot, instance, state, pending);
    if (reason !== undefined) found.push({ instance, state, reason });
  }
  for (const index of snapshot.live.keys()) {
    const instance = duplicateToStop(snapshot, index, pending);
    if (instance === undefined) continue;
    const state = snapshot.effectiveStates.get(instance) ?? 'NONE';
    found.push({ instance, state, reason: 'duplicate' });
  }
  return found.length > 1
    ? found.sort((a, b) => byStopOrder(a, b, snapshot.droplet.desired?.version))
    : found;
}

/**
 * Why a listed instance is surplus, if it is: the same as `surplus` finds without the instance's own pending stop. Its cost does
 * not depend on the number of instances.
 *
 * @param pending guids of all instances whose stop is pending, also of this one
 */
export function surplusReasonOf(
  snapshot: Snapshot,
  instance: Instance,
  pending: ReadonlySet<string>,
): StopReason | undefined {
  const state = snapshot.effectiveStates.get(instance);
  if (state === undefined) return undefined;
  const reason = surplusReason(snapshot, instance, state, pending);
  if (reason !== undefined || !snapshot.live.get(instance.index)?.includes(instance)) return reason;
  const isDuplicate = duplicateToStop(snapshot, instance.index, pending, instance) === instance;
  return isDuplicate ? 'duplicate' : undefined;
}

/** How many instances of another than the live version have a pending stop. */
export function otherVersionsStopping(
  { droplet, effectiveStates }: Snapshot,
  pending: ReadonlySet<string>,
): number {
  let count = 0;
  if (pending.size === 0) return count;
  for (const { guid, version } of effectiveStates.keys()) {
    if (version !== droplet.desired?.version && pending.has(guid)) count++;
  }
  return count;
}

/**
 * Whether another DEA lists the instance, too, with an index or version by which it is not surplus, and its own has sent no heartbeat
 * since. If Redis had lost the record, the first to list it again may have made it up (policy: an instance belongs to the DEA that lists it).
 */
function isContested({ dea, contestedMs }: Instance, deas: Deas): boolean {
  if (contestedMs === undefined) return false;
  const { lastHeartbeatMs = 0, isRestored } = deas.get(dea) ?? {};
  return isRestored === true || lastHeartbeatMs <= contestedMs;
}

/** Whether a surplus instance is contested: its stop waits until its DEA has sent a heartbeat or is late. */
export function contestedWait({ droplet, deas }: Snapshot): boolean {
  return droplet.instances.some((instance) => isListed(instance) && isContested(instance, deas));
}

/** Whether a wanted slot has copies that must be listed in more heartbeats before one of them may be stopped. */
export function duplicatesWait({ droplet, live, deas }: Snapshot): boolean {
  for (const [index, copies] of live) {
    if (copies.length < 2 || !isWanted(droplet, index)) continue;
    const listed = copies.filter(isListed);
    if (listed.length > 1 && !knownLongEnough(listed, deas)) return true;
  }
  return false;
}

function surplusReason(
  snapshot: Snapshot,
  instance: Instance,
  state: EffectiveState,
  pending: ReadonlySet<string>,
): StopReason | undefined {
  const { droplet, deas, holds, nowMs } = snapshot;
  const { desired } = droplet;
  if (desired === undefined || !isDesired(droplet)) {
    const dueMs = extraAppDueMs(snapshot);
    return dueMs !== undefined && nowMs >= dueMs && missedByPass(droplet, holds) ? 'extra_app' : undefined;
  }
  if (desired.state === 'STOPPED') return 'stopped';
  if (mayLackInstances(snapshot) || isContested(instance, deas)) return undefined;
  const isCurrent = instance.version === desired.version;
  // Its DEA may have given it the new version and a new guid.
  if (!isCurrent && snapshot.versionGraceEndsMs > 0 && mayBeRenamed(droplet, instance, snapshot))
    return undefined;
  if (state === 'EVACUATING') {
    const isOver =
      !isCurrent || !isWanted(droplet, instance.index) || isReplaced(snapshot, instance, pending);
    return isOver ? 'evacuation_complete' : undefined;
  }
  if (!isCurrent) return 'wrong_version';
  return instance.index >= desired.instances ? 'extra_index' : undefined;
}

/** When the instances of a droplet become an extra app (epoch ms); undefined if the droplet is in the desired state. */
export function extraAppDueMs({ droplet, settings }: Snapshot): number | undefined {
  const sinceMs = notDesiredSinceMs(droplet);
  return sinceMs === undefined ? undefined : sinceMs + settings.desiredStateLostMs + 1;
}

/** Whether a complete pass did not list the droplet that is new since the latest one that wrote every entry. */
export function needsFullPass({ droplet, holds, nowMs, settings }: Snapshot): boolean {
  const sinceMs = notDesiredSinceMs(droplet);
  if (sinceMs === undefined || missedByPass(droplet, holds)) return false;
  // Without an instance it only has to be removed some day.
  if (droplet.instances.length === 0 && nowMs - sinceMs <= settings.dropletGcGraceMs) return false;
  return holds.lastPassBegunMs !== undefined && holds.lastPassBegunMs > sinceMs;
}

/** Whether the slot of an EVACUATING instance of the live version has a RUNNING instance without a pending stop. */
function isReplaced(
  { live, effectiveStates }: Snapshot,
  evacuating: Instance,
  pending: ReadonlySet<string>,
): boolean {
  return (live.get(evacuating.index) ?? []).some(
    (copy) => isListed(copy) && effectiveStates.get(copy) === 'RUNNING' && !pending.has(copy.guid),
  );
}

/**
 * The copy at a wanted slot to stop, if there are several. One at a time: none while the stop of another copy is pending. Never
 * the last RUNNING one.
 *
 * @param rechecked the copy whose own pending stop does not count
 */
function duplicateToStop(
  snapshot: Snapshot,
  index: number,
  pending: ReadonlySet<string>,
  rechecked?: Instance,
): Instance | undefined {
  const live = snapshot.live.get(index) ?? [];
  if (live.length < 2 || !isWanted(snapshot.droplet, index)) return undefined;
  const copies = live.filter(isListed);
  if (copies.length < 2 || !knownLongEnough(copies, snapshot.deas)) return undefined;
  if (copies.some((copy) => copy !== rechecked && pending.has(copy.guid))) return undefined;
  if (mayLackInstances(snapshot) || copies.some((copy) => isContested(copy, snapshot.deas))) return undefined;
  return copies.sort((a, b) => byRightToStay(snapshot, a, b)).at(-1);
}

/** RUNNING before STARTING, then the smallest `state_timestamp`, then the smallest guid. */
function byRightToStay({ effectiveStates }: Snapshot, a: Instance, b: Instance): number {
  const aRuns = effectiveStates.get(a) === 'RUNNING';
  if (aRuns !== (effectiveStates.get(b) === 'RUNNING')) return aRuns ? -1 : 1;
  if (a.stateTimestampS !== b.stateTimestampS) return a.stateTimestampS - b.stateTimestampS;
  return a.guid < b.guid ? -1 : 1;
}

/**
 * Whether each copy is listed in at least two heartbeats since the youngest copy was first listed. A copy that was just
 * replaced, or whose host just died, stays live for a while and must not be the one that is kept.
 */
function knownLongEnough(copies: readonly Instance[], deas: Deas): boolean {
  let youngestMs = 0;
  for (const copy of copies) youngestMs = Math.max(youngestMs, copy.firstListedMs);
  return copies.every((copy) => {
    const previousMs = deas.get(copy.dea)?.previousHeartbeatMs;
    return previousMs !== undefined && previousMs >= youngestMs;
  });
}

function byStopOrder(a: Surplus, b: Surplus, liveVersion: string | undefined): number {
  const aOther = a.instance.version !== liveVersion;
  if (aOther !== (b.instance.version !== liveVersion)) return aOther ? -1 : 1;
  const aRuns = a.state === 'RUNNING';
  if (aRuns !== (b.state === 'RUNNING')) return aRuns ? 1 : -1;
  if (a.instance.index !== b.instance.index) return b.instance.index - a.instance.index;
  return a.instance.guid < b.instance.guid ? -1 : 1;
}
