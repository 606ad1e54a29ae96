/** Clean-up: instances, exits, outcomes and droplets that are too old to matter. */
import type { Exit, Instance, PendingStop, Slot } from '../../common/model/droplet.ts';
import { isActiveState } from '../../common/model/instance-states.ts';
import { isSuspect } from '../../common/policy/fleet/holds.ts';
import { listenedAfterMs } from '../../common/policy/fleet/listening-time.ts';
import { isExitInForce, isListed, lastHeartbeatMs } from '../../common/policy/fleet/liveness.ts';
import { isPausedWithItsDea } from '../../common/policy/fleet/operator-hold.ts';
import { missedByPass, notDesiredSinceMs } from '../../common/policy/slots/wanted.ts';
import type { Snapshot } from '../../common/policy/snapshot.ts';
import {
  exitInForceMs,
  exitKeptMs,
  heartbeatPollMs,
  instanceExpiryMs,
} from '../../common/policy/thresholds.ts';
import type { DecisionDraft } from './decision-draft.ts';

/**
 * Guids of the instances that are too old to matter: no DEA has listed them lately. An exited instance stays while
 * a start is pending: otherwise its exit could be taken for the exit of the started instance.
 */
export function instancesToForget(draft: DecisionDraft, forgottenExits: readonly string[]): string[] {
  const { droplet, nowMs, exits } = draft.snapshot;
  const isStarting = exits.size > 0 && draft.slots.some(({ start }) => start !== undefined);
  const guids: string[] = [];
  for (const instance of droplet.instances) {
    if (isStarting && exits.has(instance.guid) && !forgottenExits.includes(instance.guid)) continue;
    const atMs = forgetInstanceAtMs(draft, instance);
    if (nowMs >= atMs) guids.push(instance.guid);
    else if (Number.isFinite(atMs)) draft.requeueAt(atMs);
  }
  return guids;
}

/**
 * When an instance may be removed from the record (epoch ms).
 *
 * - Never while a DEA with recent heartbeats lists it: its next heartbeat, if equal to the last one, writes nothing.
 * - The instances of a silent DEA may be removed: a DEA that comes back after a long silence writes its whole list.
 * - They are removed before the DEA expires. Otherwise a new heartbeat of that DEA would make an instance live again
 *   that has ended.
 */
function forgetInstanceAtMs({ snapshot }: DecisionDraft, instance: Instance): number {
  const { deas, holds, nowMs, lostBeforeMs, settings } = snapshot;
  const { state, lastListedMs, dea } = instance;
  if (lastListedMs !== undefined) {
    if (state === 'CRASHED' && !isPausedWithItsDea(snapshot, instance))
      return lastListedMs + settings.flappingTimeoutMs + 1;
    const atMs = listenedSinceMs(snapshot, lastListedMs, settings.dropletLostMs) + 1;
    // Without the instance nothing would hold back the start that replaces it.
    return isSuspect(snapshot, instance) || isPausedWithItsDea(snapshot, instance)
      ? Math.max(atMs, nowMs + heartbeatPollMs(settings))
      : atMs;
  }
  const heartbeatMs = lastHeartbeatMs(instance, deas);
  if (deas.has(dea) && heartbeatMs >= lostBeforeMs) return Number.POSITIVE_INFINITY;
  const expiryMs = listenedSinceMs(snapshot, heartbeatMs, instanceExpiryMs(settings)) + 1;
  // Without the instance the grace period of a new version would end, which waits for its DEA.
  const atMs = Math.max(expiryMs, snapshot.versionGraceEndsMs);
  // An instance whose loss a hold keeps back stays as long as the hold is on, even when its DEA has expired.
  const isHeld =
    holds.actualNotFresh || isSuspect(snapshot, instance) || isPausedWithItsDea(snapshot, instance);
  return isHeld ? Math.max(atMs, nowMs + settings.dropletGcMs) : atMs;
}

function listenedSinceMs({ holds, nowMs }: Snapshot, fromMs: number, durationMs: number): number {
  return listenedAfterMs(fromMs, durationMs, nowMs, holds.listeningGaps);
}

/**
 * Instance guids of the processed exits that no heartbeat can contradict any more.
 *
 * - An exit stays while only it shows that an instance of a silent DEA has ended.
 * - It stays while a start is pending at its slot and its instance was first listed after that start was sent: without
 *   the exit the instance would be taken for the started one.
 */
export function exitsToForget(draft: DecisionDraft, handledExits: number): string[] {
  const { droplet, nowMs, lostBeforeMs, effectiveStates, deas, settings } = draft.snapshot;
  const guids: string[] = [];
  for (const exit of droplet.exits) {
    const atMs = forgetExitAtMs(draft, exit);
    if (exit.n > handledExits) continue;
    if (nowMs >= atMs && (isMistakableForStarted(draft, exit) || isLastOfItsInstance(draft, exit))) continue;
    if (nowMs >= atMs) guids.push(exit.instance);
    else draft.requeueAt(atMs);
  }
  // An instance that is still listed after its exit is believed again when the exit no longer stands.
  for (const instance of droplet.exits.length === 0 ? [] : droplet.instances) {
    const exit = draft.snapshot.exits.get(instance.guid);
    if (exit === undefined || effectiveStates.has(instance) || instance.lastListedMs !== undefined) continue;
    const heartbeatMs = deas.get(instance.dea)?.lastHeartbeatMs;
    if (heartbeatMs === undefined || heartbeatMs < lostBeforeMs) continue;
    draft.requeueAt(Math.max(exit.atMs + exitInForceMs(settings) + 1, nowMs + heartbeatPollMs(settings)));
  }
  return guids;
}

function isMistakableForStarted({ slots, snapshot }: DecisionDraft, exit: Exit): boolean {
  const { instances, outcomes } = snapshot.droplet;
  const instance = instances.find(({ guid }) => guid === exit.instance);
  // The index of the heartbeats counts; that of the exit may differ.
  const start = instance && slots.get(instance.index)?.start;
  const sent = start && outcomes.get(start.id);
  return sent !== undefined && instance !== undefined && instance.firstListedMs > sent.atMs;
}

/**
 * Whether the record still has the instance as its silent DEA last listed it, and the exit overrides that list. Without the exit the
 * instance would seem to have run until its DEA fell silent. The exit goes with the instance.
 */
function isLastOfItsInstance(draft: DecisionDraft, exit: Exit): boolean {
  const { droplet, deas, nowMs, settings } = draft.snapshot;
  const instance = droplet.instances.find(({ guid }) => guid === exit.instance);
  if (instance === undefined || !isListed(instance)) return false;
  if (!isExitInForce(exit, lastHeartbeatMs(instance, deas), settings)) return false;
  return nowMs < forgetInstanceAtMs(draft, instance);
}

/**
 * An exit overrides heartbeats for `2 * droplet_lost`, and a heartbeat from just before the end of that time makes its
 * instances live for another `droplet_lost`. Crashes are shown for `flapping_timeout`.
 */
function forgetExitAtMs({ snapshot }: DecisionDraft, exit: Exit): number {
  const { settings } = snapshot;
  const shownUntilMs = exit.reason === 'CRASHED' ? exit.atMs + settings.flappingTimeoutMs : 0;
  return Math.max(listenedSinceMs(snapshot, exit.atMs, exitKeptMs(settings)), shownUntilMs) + 1;
}

/** Ids of the outcomes whose start or stop is no longer pending. */
export function outcomesToForget(
  { snapshot }: DecisionDraft,
  slots: ReadonlyMap<number, Slot>,
  stops: ReadonlyMap<string, PendingStop>,
): string[] {
  if (snapshot.droplet.outcomes.size === 0) return [];
  const needed = new Set<string>();
  for (const { start } of slots.values()) if (start !== undefined) needed.add(start.id);
  for (const stop of stops.values()) needed.add(stop.id);
  return [...snapshot.droplet.outcomes.keys()].filter((id) => !needed.has(id));
}

/**
 * Whether the droplet has been out of the desired state for the grace period and runs nothing, so that it is removed.
 *
 * @param forgotten guids of the instances that this decision removes
 */
export function isToBeRemoved(draft: DecisionDraft, forgotten: readonly string[]): boolean {
  const { droplet, holds, nowMs, settings, effectiveStates } = draft.snapshot;
  const since = notDesiredSinceMs(droplet);
  if (since === undefined) return false;
  const atMs = since + settings.dropletGcGraceMs + 1;
  if (nowMs < atMs) draft.requeueAt(atMs);
  if (nowMs < atMs || effectiveStates.size > 0) return false;
  if (
    holds.massDelete ||
    !missedByPass(droplet, holds) ||
    droplet.instances.some((i) => !forgotten.includes(i.guid) && mayReturn(draft, i))
  ) {
    draft.requeueAt(nowMs + settings.dropletGcMs);
    return false;
  }
  return true;
}

/** Whether the instance is on the last list of a silent DEA: it would be live again with the DEA's next heartbeat. */
function mayReturn({ snapshot }: DecisionDraft, instance: Instance): boolean {
  const { state, lastListedMs, dea } = instance;
  if (!isActiveState(state)) return false;
  return lastListedMs === undefined && (snapshot.deas.has(dea) || isSuspect(snapshot, instance));
}
