/** Clean-up: what can matter no more. */
import type { Exit, Instance, PendingStop, Slot } from '../../common/model/droplet.ts';
import { isSilenceDoubted } from '../../common/policy/holds.ts';
import { heardMs } from '../../common/policy/liveness.ts';
import { missedByPass, notDesiredSinceMs } from '../../common/policy/wanted.ts';
import type { Scene } from './decision-draft.ts';

/** DEAs unheard for so many times `droplet_lost` are forgotten, and with them what they listed. */
const DEA_FORGOTTEN = 10;

/**
 * Instances that no DEA has listed for so long that they count for nothing any more. While a start is on its way, one
 * whose exit was heard stays, so that its exit is not taken for that of what was started.
 */
export function instancesToForget(scene: Scene, forgottenExits: readonly string[]): string[] {
  const { droplet, now, exits } = scene.sight;
  const isStarting = exits.size > 0 && scene.slots.some(({ start }) => start !== undefined);
  const guids: string[] = [];
  for (const instance of droplet.instances) {
    if (isStarting && exits.has(instance.guid) && !forgottenExits.includes(instance.guid)) continue;
    const atMs = forgetInstanceAtMs(scene, instance);
    if (now >= atMs) guids.push(instance.guid);
    else if (Number.isFinite(atMs)) scene.look(atMs);
  }
  return guids;
}

/**
 * Never while a DEA that is heard lists it: its next heartbeat, equal to the last one, writes nothing. One that was
 * silent for long writes all that it lists when it is back, so what it listed before may go; and it goes before the
 * DEA itself is forgotten, or an instance that is no more would be live again with the DEA.
 */
function forgetInstanceAtMs({ sight }: Scene, instance: Instance): number {
  const { deas, holds, now, settings } = sight;
  const { state, lastListedMs, dea } = instance;
  if (lastListedMs !== undefined) {
    return lastListedMs + (state === 'CRASHED' ? settings.flappingTimeoutMs : settings.dropletLostMs) + 1;
  }
  const heard = heardMs(instance, deas);
  if (deas.has(dea) && now - heard <= settings.dropletLostMs) return Number.POSITIVE_INFINITY;
  const atMs = heard + (DEA_FORGOTTEN - 1) * settings.dropletLostMs + 1;
  // What a hold on silence holds back is remembered for as long as the hold is on, also when the DEA is forgotten.
  const isHeld = holds.actualNotFresh || isSilenceDoubted(sight, instance);
  return isHeld ? Math.max(atMs, now + settings.dropletGcMs) : atMs;
}

/**
 * Exits that have been taken into account and that no heartbeat can contradict any more. One of an instance that was
 * heard only after a start was sent at its slot stays while that start is on its way: without it the instance would seem
 * to have come of the start.
 */
export function exitsToForget(scene: Scene, handledExits: number): string[] {
  const { droplet, now, standings, deas, settings } = scene.sight;
  const guids: string[] = [];
  for (const exit of droplet.exits) {
    const atMs = forgetExitAtMs(scene, exit);
    if (exit.n > handledExits) continue;
    if (now >= atMs && tellsOffStart(scene, exit)) continue;
    if (now >= atMs) guids.push(exit.instance);
    else scene.look(atMs);
  }
  // An instance that goes on being listed after its exit is believed once the exit stands no more.
  for (const instance of droplet.exits.length === 0 ? [] : droplet.instances) {
    const exit = scene.sight.exits.get(instance.guid);
    if (exit === undefined || standings.has(instance) || instance.lastListedMs !== undefined) continue;
    const heard = deas.get(instance.dea)?.heardMs;
    if (heard === undefined || now - heard > settings.dropletLostMs) continue;
    scene.look(Math.max(exit.atMs + 2 * settings.dropletLostMs + 1, now + settings.dropletLostMs / 6));
  }
  return guids;
}

function tellsOffStart({ slots, sight }: Scene, exit: Exit): boolean {
  const { instances, outcomes } = sight.droplet;
  const instance = instances.find(({ guid }) => guid === exit.instance);
  // Of its slot as it is heard: an exit's word for it may differ.
  const start = instance && slots.get(instance.index)?.start;
  const sent = start && outcomes.get(start.id);
  return sent !== undefined && instance !== undefined && instance.firstHeardMs > sent.atMs;
}

/**
 * For `2 * droplet_lost` an exit stands against heartbeats, and what was heard just before that is over may seem
 * live for another. Crashes are shown for `flapping_timeout`.
 */
function forgetExitAtMs({ sight }: Scene, exit: Exit): number {
  const { dropletLostMs, flappingTimeoutMs } = sight.settings;
  const keepMs = Math.max(3 * dropletLostMs, exit.reason === 'CRASHED' ? flappingTimeoutMs : 0);
  return exit.atMs + keepMs + 1;
}

/** Outcomes of decisions that are over. */
export function outcomesToForget(
  { sight }: Scene,
  slots: ReadonlyMap<number, Slot>,
  stops: ReadonlyMap<string, PendingStop>,
): string[] {
  if (sight.droplet.outcomes.size === 0) return [];
  const needed = new Set<string>();
  for (const { start } of slots.values()) if (start !== undefined) needed.add(start.id);
  for (const stop of stops.values()) needed.add(stop.id);
  return [...sight.droplet.outcomes.keys()].filter((id) => !needed.has(id));
}

/**
 * Whether the droplet is out of the desired state for long enough, with nothing running, to be removed.
 *
 * @param forgotten guids of the instances that are forgotten now
 */
export function isToBeRemoved(scene: Scene, forgotten: readonly string[]): boolean {
  const { droplet, holds, now, settings, standings } = scene.sight;
  const since = notDesiredSinceMs(droplet);
  if (since === undefined) return false;
  const atMs = since + settings.dropletGcGraceMs + 1;
  if (now < atMs) scene.look(atMs);
  if (now < atMs || standings.size > 0) return false;
  if (
    holds.massDelete ||
    !missedByPass(droplet, holds) ||
    droplet.instances.some((i) => !forgotten.includes(i.guid) && mayReturn(scene, i))
  ) {
    scene.look(now + settings.dropletGcMs);
    return false;
  }
  return true;
}

/** An instance on the list of a DEA that is silent, but known: it would be back, unannounced, with the DEA. */
function mayReturn({ sight }: Scene, instance: Instance): boolean {
  const { state, lastListedMs, dea } = instance;
  if (state !== 'RUNNING' && state !== 'STARTING' && state !== 'EVACUATING') return false;
  return lastListedMs === undefined && (sight.deas.has(dea) || isSilenceDoubted(sight, instance));
}
