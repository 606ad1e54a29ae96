/** Clean-up: what can matter no more. */
import type { Exit, Instance, PendingStop, Slot } from '../../common/model/droplet.ts';
import { isSuspect } from '../../common/policy/holds.ts';
import { lastHeartbeatMs } from '../../common/policy/liveness.ts';
import { missedByPass, notDesiredSinceMs } from '../../common/policy/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';

/** DEAs unheard for so many times `droplet_lost` are forgotten, and with them what they listed. */
const DEA_FORGOTTEN = 10;

/**
 * Instances that no DEA has listed for so long that they count for nothing any more. While a start is on its way, one
 * whose exit was heard stays, so that its exit is not taken for that of what was started.
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
 * Never while a DEA that is heard lists it: its next heartbeat, equal to the last one, writes nothing. One that was
 * silent for long writes all that it lists when it is back, so what it listed before may go; and it goes before the
 * DEA itself is forgotten, or an instance that is no more would be live again with the DEA.
 */
function forgetInstanceAtMs({ snapshot }: DecisionDraft, instance: Instance): number {
  const { deas, holds, nowMs, settings } = snapshot;
  const { state, lastListedMs, dea } = instance;
  if (lastListedMs !== undefined) {
    return lastListedMs + (state === 'CRASHED' ? settings.flappingTimeoutMs : settings.dropletLostMs) + 1;
  }
  const heard = lastHeartbeatMs(instance, deas);
  if (deas.has(dea) && nowMs - heard <= settings.dropletLostMs) return Number.POSITIVE_INFINITY;
  const atMs = heard + (DEA_FORGOTTEN - 1) * settings.dropletLostMs + 1;
  // What a hold on silence holds back is remembered for as long as the hold is on, also when the DEA is forgotten.
  const isHeld = holds.actualNotFresh || isSuspect(snapshot, instance);
  return isHeld ? Math.max(atMs, nowMs + settings.dropletGcMs) : atMs;
}

/**
 * Exits that have been taken into account and that no heartbeat can contradict any more. One of an instance that was
 * heard only after a start was sent at its slot stays while that start is on its way: without it the instance would seem
 * to have come of the start.
 */
export function exitsToForget(draft: DecisionDraft, handledExits: number): string[] {
  const { droplet, nowMs, effectiveStates, deas, settings } = draft.snapshot;
  const guids: string[] = [];
  for (const exit of droplet.exits) {
    const atMs = forgetExitAtMs(draft, exit);
    if (exit.n > handledExits) continue;
    if (nowMs >= atMs && tellsOffStart(draft, exit)) continue;
    if (nowMs >= atMs) guids.push(exit.instance);
    else draft.requeueAt(atMs);
  }
  // An instance that goes on being listed after its exit is believed once the exit stands no more.
  for (const instance of droplet.exits.length === 0 ? [] : droplet.instances) {
    const exit = draft.snapshot.exits.get(instance.guid);
    if (exit === undefined || effectiveStates.has(instance) || instance.lastListedMs !== undefined) continue;
    const heard = deas.get(instance.dea)?.lastHeartbeatMs;
    if (heard === undefined || nowMs - heard > settings.dropletLostMs) continue;
    draft.requeueAt(Math.max(exit.atMs + 2 * settings.dropletLostMs + 1, nowMs + settings.dropletLostMs / 6));
  }
  return guids;
}

function tellsOffStart({ slots, snapshot }: DecisionDraft, exit: Exit): boolean {
  const { instances, outcomes } = snapshot.droplet;
  const instance = instances.find(({ guid }) => guid === exit.instance);
  // Of its slot as it is heard: an exit's word for it may differ.
  const start = instance && slots.get(instance.index)?.start;
  const sent = start && outcomes.get(start.id);
  return sent !== undefined && instance !== undefined && instance.firstListedMs > sent.atMs;
}

/**
 * For `2 * droplet_lost` an exit stands against heartbeats, and what was heard just before that is over may seem
 * live for another. Crashes are shown for `flapping_timeout`.
 */
function forgetExitAtMs({ snapshot }: DecisionDraft, exit: Exit): number {
  const { dropletLostMs, flappingTimeoutMs } = snapshot.settings;
  const keepMs = Math.max(3 * dropletLostMs, exit.reason === 'CRASHED' ? flappingTimeoutMs : 0);
  return exit.atMs + keepMs + 1;
}

/** Outcomes of decisions that are over. */
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
 * Whether the droplet is out of the desired state for long enough, with nothing running, to be removed.
 *
 * @param forgotten guids of the instances that are forgotten now
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

/** An instance on the list of a DEA that is silent, but known: it would be back, unannounced, with the DEA. */
function mayReturn({ snapshot }: DecisionDraft, instance: Instance): boolean {
  const { state, lastListedMs, dea } = instance;
  if (state !== 'RUNNING' && state !== 'STARTING' && state !== 'EVACUATING') return false;
  return lastListedMs === undefined && (snapshot.deas.has(dea) || isSuspect(snapshot, instance));
}
