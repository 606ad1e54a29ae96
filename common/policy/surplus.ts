/** What is surplus: which running instances should be stopped, and why. */
import type { Instance, PendingStop } from '../model/droplet.ts';
import type { StopReason } from '../model/reasons.ts';
import type { Deas, EffectiveState } from './liveness.ts';
import type { Snapshot } from './snapshot.ts';
import { isDesired, isWanted, missedByPass, notDesiredSinceMs } from './wanted.ts';

/** An instance that runs and should not. Whether a hold or the controller forbids its stop is asked separately. */
export interface Surplus {
  instance: Instance;
  standing: EffectiveState;
  reason: StopReason;
}

/**
 * Whether a decided stop of a running instance is on its way: while it waits, and for `droplet_lost` after it was
 * sent. (One for an instance that runs no more is over.)
 */
export function isStopPending({ droplet, nowMs, settings }: Snapshot, stop: PendingStop): boolean {
  if (stop.held !== undefined) return false;
  const outcome = droplet.outcomes.get(stop.id);
  if (outcome === undefined) return true;
  return outcome.outcome === 'sent' && nowMs - outcome.atMs <= settings.dropletLostMs;
}

/** Guids of the running instances whose stop is on its way, without `except` (one that is itself being checked). */
export function pendingStops(snapshot: Snapshot, except?: string): Set<string> {
  const guids = new Set<string>();
  if (snapshot.droplet.stops.size === 0) return guids;
  for (const { guid } of snapshot.effectiveStates.keys()) {
    const stop = snapshot.droplet.stops.get(guid);
    if (stop !== undefined && guid !== except && isStopPending(snapshot, stop)) guids.add(guid);
  }
  return guids;
}

/**
 * All surplus instances whose stop is not on its way yet, in the order in which they should go: other versions first,
 * then what is not RUNNING, because the controller counts RUNNING ones; then from the highest index down.
 */
export function surplus(snapshot: Snapshot, onTheirWay: ReadonlySet<string>): Surplus[] {
  const found: Surplus[] = [];
  for (const [instance, standing] of snapshot.effectiveStates) {
    if (onTheirWay.has(instance.guid)) continue;
    const reason = surplusReason(snapshot, instance, standing, onTheirWay);
    if (reason !== undefined) found.push({ instance, standing, reason });
  }
  for (const [index, live] of snapshot.live) {
    if (live.length < 2 || !isWanted(snapshot.droplet, index) || !knownLongEnough(live, snapshot.deas))
      continue;
    const victim = duplicateToStop(snapshot, live, onTheirWay);
    if (victim === undefined) continue;
    found.push({
      instance: victim,
      standing: snapshot.effectiveStates.get(victim) ?? 'NONE',
      reason: 'duplicate',
    });
  }
  return found.length > 1 ? found.sort((a, b) => inOrder(a, b, snapshot.droplet.desired?.version)) : found;
}

/** Whether the stop of an instance of another than the live version is on its way. */
export function doOthersLeave(
  { droplet, effectiveStates }: Snapshot,
  onTheirWay: ReadonlySet<string>,
): boolean {
  if (onTheirWay.size === 0) return false;
  for (const { guid, version } of effectiveStates.keys()) {
    if (version !== droplet.desired?.version && onTheirWay.has(guid)) return true;
  }
  return false;
}

/** Whether a wanted slot has copies that must be listed more often before one of them may be stopped. */
export function duplicatesWait({ droplet, live, deas }: Snapshot): boolean {
  for (const [index, copies] of live) {
    if (copies.length > 1 && isWanted(droplet, index) && !knownLongEnough(copies, deas)) return true;
  }
  return false;
}

function surplusReason(
  snapshot: Snapshot,
  instance: Instance,
  standing: EffectiveState,
  onTheirWay: ReadonlySet<string>,
): StopReason | undefined {
  const { droplet, holds, nowMs } = snapshot;
  const { desired } = droplet;
  if (desired === undefined || !isDesired(droplet)) {
    const due = extraAppDueMs(snapshot);
    return due !== undefined && nowMs >= due && missedByPass(droplet, holds) ? 'extra_app' : undefined;
  }
  if (desired.state === 'STOPPED') return 'stopped';
  const current = instance.version === desired.version;
  if (standing === 'EVACUATING') {
    const over = !current || !isWanted(droplet, instance.index) || isReplaced(snapshot, instance, onTheirWay);
    return over ? 'evacuation_complete' : undefined;
  }
  if (!current) return 'wrong_version';
  return instance.index >= desired.instances ? 'extra_index' : undefined;
}

/** From when what runs of a droplet is an extra app (epoch ms); undefined if the droplet is in the desired state. */
export function extraAppDueMs({ droplet, settings }: Snapshot): number | undefined {
  const since = notDesiredSinceMs(droplet);
  return since === undefined ? undefined : since + settings.desiredStateLostMs + 1;
}

/** Whether the slot of an EVACUATING instance of the live version has a RUNNING one that stays. */
function isReplaced(
  { live, effectiveStates }: Snapshot,
  old: Instance,
  onTheirWay: ReadonlySet<string>,
): boolean {
  return (live.get(old.index) ?? []).some(
    (other) => effectiveStates.get(other) === 'RUNNING' && !onTheirWay.has(other.guid),
  );
}

/** One at a time: none while another copy is on its way out. Never the one to keep, so never the last RUNNING one. */
function duplicateToStop(
  snapshot: Snapshot,
  copies: readonly Instance[],
  onTheirWay: ReadonlySet<string>,
): Instance | undefined {
  if (copies.some((copy) => onTheirWay.has(copy.guid))) return undefined;
  return [...copies].sort((a, b) => byRightToStay(snapshot, a, b)).at(-1);
}

/** RUNNING before STARTING, then the smallest `state_timestamp`, then the smallest guid. */
function byRightToStay({ effectiveStates }: Snapshot, a: Instance, b: Instance): number {
  const aRuns = effectiveStates.get(a) === 'RUNNING';
  if (aRuns !== (effectiveStates.get(b) === 'RUNNING')) return aRuns ? -1 : 1;
  if (a.stateTimestampS !== b.stateTimestampS) return a.stateTimestampS - b.stateTimestampS;
  return a.guid < b.guid ? -1 : 1;
}

/**
 * Whether each copy is listed in at least two heartbeats since the youngest was first heard: an instance that was
 * just replaced, or whose host just died, stays live for a while and must not win.
 */
function knownLongEnough(copies: readonly Instance[], deas: Deas): boolean {
  let youngestMs = 0;
  for (const copy of copies) youngestMs = Math.max(youngestMs, copy.firstListedMs);
  return copies.every((copy) => {
    const previousMs = deas.get(copy.dea)?.previousHeartbeatMs;
    return copy.lastListedMs === undefined && previousMs !== undefined && previousMs >= youngestMs;
  });
}

function inOrder(a: Surplus, b: Surplus, liveVersion: string | undefined): number {
  const aOther = a.instance.version !== liveVersion;
  if (aOther !== (b.instance.version !== liveVersion)) return aOther ? -1 : 1;
  const aRuns = a.standing === 'RUNNING';
  if (aRuns !== (b.standing === 'RUNNING')) return aRuns ? 1 : -1;
  if (a.instance.index !== b.instance.index) return b.instance.index - a.instance.index;
  return a.instance.guid < b.instance.guid ? -1 : 1;
}
