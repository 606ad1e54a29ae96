/**
 * Starts. A slot that is wanted and has no live instance goes through
 *
 *     nothing --(decided)--> waiting --(nudger: sent)--> sent --(heard, exited, or droplet_lost)--> nothing
 *                               |---(nudger: dropped, or taken back here)------------------------> nothing
 *
 * so it has at most one start on its way.
 */
import type { Exit, Slot, StartReason } from '../../common/droplet.ts';
import { isGivenUp, restartDueMs } from '../../common/policy/flapping.ts';
import { holdOnStart } from '../../common/policy/holds.ts';
import { heardMs } from '../../common/policy/liveness.ts';
import { type DropReason, queuePriority, START_PRIORITY } from '../../common/policy/reasons.ts';
import { hasHadItsTimeMs, isWanted, isWantedAsLastKnown, wantedIndices } from '../../common/policy/wanted.ts';
import type { StartDecision } from './decision.ts';
import { addEvent, type Events } from './events.ts';
import { decisionId } from './ids.ts';
import type { Scene } from './scene.ts';

/** A restart that is not sent so long after it was due has lost its job, or its timer's clock is slow. */
const RESTART_SAFETY_MS = 1000;

/** Decides the starts of all slots. */
export function decideStarts(scene: Scene, events: Events): void {
  const { sight, slots } = scene;
  const wanted = wantedIndices(sight.droplet);
  for (const slot of slots.all()) settleStart(scene, slot, events);
  for (let index = 0; index < wanted; index++) {
    if (sight.live.has(index)) watchSilence(scene, index);
    else decideStart(scene, index, events);
  }
  if (wanted === 0 && sight.droplet.goneMs !== undefined && sight.holds.massDelete) {
    for (const index of indicesOf(scene, events)) {
      if (!sight.live.has(index)) decideStart(scene, index, events);
    }
  }
  for (const slot of slots.all()) tidySlot(scene, slot);
}

/** Of a droplet that only `mass_delete` keeps: the slots to which something happened. */
function indicesOf({ sight, slots }: Scene, events: Events): Set<number> {
  const known = [...slots.all()].map(({ index }) => index);
  return new Set([
    ...known,
    ...events.crashed,
    ...events.evacuated,
    ...events.waiting,
    ...sight.evacuating.keys(),
  ]);
}

/** Takes a waiting start back: it is logged, and its job need not be kept. */
export function cancelStart(scene: Scene, { index, version, start }: Slot, why: DropReason): void {
  if (start === undefined || scene.sight.droplet.outcomes.has(start.id)) return;
  const { id, reason } = start;
  scene.decisions.push({ kind: 'cancel', what: 'start', id, index, version, reason, why });
}

/** Ends a start that is over, and otherwise sees to it that its end is noticed. */
function settleStart(scene: Scene, { index, version, start }: Slot, events: Events): void {
  if (start === undefined) return;
  const { droplet, live, now, settings } = scene.sight;
  const outcome = droplet.outcomes.get(start.id);
  const end = () => {
    delete scene.slots.edit(index, version).start;
  };
  if (outcome === undefined) {
    const why = whyCancel(scene, index);
    if (why === undefined) return remind(scene, index);
    cancelStart(scene, { index, version, crashes: 0, flapping: false, start }, why);
    end();
  } else if (outcome.outcome === 'dropped' || live.has(index)) {
    end();
  } else {
    const exit = exitSince(scene, index, outcome.atMs);
    if (exit !== undefined) addEvent(exit, events);
    const lostMs = outcome.atMs + settings.dropletLostMs;
    if (exit !== undefined || wasHeardSince(scene, index, outcome.atMs) || now > lostMs) end();
    else scene.look(lostMs + 1);
  }
}

/** Why a start that waits is no longer right. */
function whyCancel({ sight, slots }: Scene, index: number): DropReason | undefined {
  const { droplet, holds, live, now, settings } = sight;
  const slot = slots.get(index);
  const wanted =
    slot?.start?.reason === 'missing' ? isWanted(droplet, index) : isWantedAsLastKnown(droplet, index, holds);
  if (!wanted) return 'not_wanted';
  if (live.has(index)) return 'live';
  return slot !== undefined && isGivenUp(slot, now, settings) ? 'given_up' : undefined;
}

/** A start waits without a time limit; every now and then its job is made sure of. */
function remind(scene: Scene, index: number): void {
  const { now, settings } = scene.sight;
  const slot = scene.slots.get(index);
  if (slot?.start === undefined) return;
  const { decidedMs, dueMs } = slot.start;
  const lostMs = settings.dropletLostMs;
  const from = dueMs === undefined ? decidedMs + lostMs : Math.max(dueMs, decidedMs) + RESTART_SAFETY_MS;
  if (now >= from) scene.ensure.push(orderOf(scene, slot, slot.start));
  scene.look(now < from ? from : from + lostMs * (Math.floor((now - from) / lostMs) + 1));
}

/** The exit of an instance that came of a start sent then: not of one that was known at the slot before. */
function exitSince({ sight }: Scene, index: number, sentMs: number): Exit | undefined {
  const { exits, instances, desired } = sight.droplet;
  return exits.find(
    (exit) =>
      exit.index === index &&
      exit.version === desired?.version &&
      exit.atMs > sentMs &&
      !instances.some(({ guid, firstHeardMs }) => guid === exit.instance && firstHeardMs <= sentMs),
  );
}

/** Whether an instance was first heard at the slot after then. A CRASHED one is the trace of the one before. */
function wasHeardSince({ sight }: Scene, index: number, sentMs: number): boolean {
  const { instances, desired } = sight.droplet;
  return instances.some(
    ({ state, version, index: at, firstHeardMs }) =>
      at === index &&
      version === desired?.version &&
      firstHeardMs > sentMs &&
      (state === 'STARTING' || state === 'RUNNING' || state === 'EVACUATING'),
  );
}

/** Decides about a slot without a live instance. */
function decideStart(scene: Scene, index: number, events: Events): void {
  const { sight, slots } = scene;
  const { now, settings, droplet } = sight;
  const slot = slots.get(index);
  if (slot !== undefined && isGivenUp(slot, now, settings)) {
    scene.look((slot.lastCrashMs ?? now) + settings.flappingTimeoutMs + 1);
    return setHeld(scene, index, undefined);
  }
  const evacuated = events.evacuated.has(index) || sight.evacuating.has(index);
  if (slot?.start !== undefined) {
    if (evacuated) lift(scene, slot);
    return;
  }
  const need = neededStart(scene, index, slot, events, evacuated);
  if (need === undefined) return setHeld(scene, index, undefined);
  const hold = holdOnStart(sight, need.reason, index);
  if (hold !== undefined) return setHeld(scene, index, { hold, reason: need.reason });

  const version = droplet.desired?.version ?? '';
  const draft = slots.edit(index, version);
  delete draft.held;
  draft.start = {
    id: decisionId(droplet, `start-${index}`, now),
    reason: need.reason,
    priority: START_PRIORITY[need.reason],
    decidedMs: now,
    ...(need.dueMs === undefined ? {} : { dueMs: need.dueMs }),
  };
  scene.decisions.push(orderOf(scene, draft, draft.start));
  remind(scene, index);
}

/** The start that the slot needs, and why; undefined if none, or not yet. */
function neededStart(
  scene: Scene,
  index: number,
  slot: Slot | undefined,
  events: Events,
  evacuated: boolean,
): { reason: StartReason; dueMs?: number } | undefined {
  const { droplet, now, settings } = scene.sight;
  const crashed = events.crashed.has(index);
  if (slot?.flapping) {
    // Also without news of a crash: its answer may have been dropped, or it came while a start was on its way.
    const dueMs = restartDueMs(droplet.id, slot, settings);
    if (crashed || now < dueMs) return { reason: 'flapping', dueMs };
  }
  if (evacuated) return { reason: 'evacuated' };
  if (crashed) return { reason: 'crashed' };
  if (events.waiting.has(index)) return { reason: 'crashed' };
  if (!isWanted(droplet, index)) return undefined;
  const timeMs = hasHadItsTimeMs(droplet, index, settings);
  if (now >= timeMs) return { reason: 'missing' };
  scene.look(timeMs);
  return undefined;
}

/** While a start waits only an evacuation changes it: it becomes urgent, and is then held by no more than one. */
function lift(scene: Scene, { index, version, start }: Slot): void {
  if (start === undefined || start.priority === 'high' || scene.sight.droplet.outcomes.has(start.id)) return;
  const draft = scene.slots.edit(index, version);
  draft.start = { ...start, reason: 'evacuated', priority: 'high' };
  scene.decisions.push({
    kind: 'lift',
    id: start.id,
    index,
    version,
    reason: 'evacuated',
    priority: 'high',
    queuePriority: queuePriority('high', missingShare(scene)),
  });
}

function orderOf(scene: Scene, slot: Slot, start: NonNullable<Slot['start']>): StartDecision {
  const { id, reason, priority, dueMs } = start;
  return {
    kind: 'start',
    id,
    index: slot.index,
    version: slot.version,
    reason,
    priority,
    queuePriority: queuePriority(priority, missingShare(scene)),
    ...(dueMs === undefined ? {} : { dueMs }),
  };
}

/** Share of the wanted indices that have no live instance. */
function missingShare({ sight }: Scene): number {
  const wanted = wantedIndices(sight.droplet);
  if (wanted === 0) return 1;
  let live = 0;
  for (const index of sight.live.keys()) if (index < wanted) live++;
  return 1 - live / wanted;
}

/** Remembers, and says once, that a hold keeps the slot from being started. */
function setHeld(
  scene: Scene,
  index: number,
  held: { hold: NonNullable<Slot['held']>; reason: StartReason } | undefined,
): void {
  const before = scene.slots.get(index)?.held;
  const { droplet, now } = scene.sight;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (before !== undefined) delete scene.slots.edit(index, version).held;
    return;
  }
  // The pass that ends it is on its way and takes about a second.
  if (held.hold === 'update_required') scene.look(now + 1000);
  else scene.lookSoon();
  if (before === held.hold) return;
  scene.slots.edit(index, version).held = held.hold;
  const id = decisionId(droplet, `held-${index}`, now);
  scene.decisions.push({ kind: 'held', what: 'start', id, index, version, ...held });
}

/** A live instance whose DEA is silent already will be lost if the DEA stays silent. */
function watchSilence(scene: Scene, index: number): void {
  const { live, deas, now, settings } = scene.sight;
  for (const instance of live.get(index) ?? []) {
    const silentMs = now - heardMs(instance, deas);
    if (instance.lastListedMs === undefined && silentMs > settings.dropletLostMs / 2) {
      scene.look(now - silentMs + settings.dropletLostMs + 1);
    }
  }
}

/** A slot leaves FLAPPING when it runs again, or has not crashed for long; one with nothing to remember is forgotten. */
function tidySlot(scene: Scene, { index, version, crashes, lastCrashMs, flapping, held, start }: Slot): void {
  const { live, now, settings } = scene.sight;
  const isLive = live.has(index);
  if (held !== undefined && (isLive || index >= wantedIndices(scene.sight.droplet))) {
    if (isLive || !scene.sight.holds.massDelete) delete scene.slots.edit(index, version).held;
  }
  const timeoutMs = settings.flappingTimeoutMs;
  if (flapping) {
    const over = start === undefined && now - (lastCrashMs ?? 0) > timeoutMs;
    if (isLive || over) scene.slots.edit(index, version).flapping = false;
    else if (start === undefined) scene.look((lastCrashMs ?? 0) + timeoutMs + 1);
  }
  // Twice as long: the count goes by the crashes' own time stamps, which the next message may bring late.
  const remembers = crashes > 0 && now - (lastCrashMs ?? 0) <= 2 * timeoutMs;
  const slot = scene.slots.get(index);
  if (slot?.start !== undefined || slot?.held !== undefined || slot?.flapping) return;
  if (remembers) scene.look((lastCrashMs ?? 0) + 2 * timeoutMs + 1);
  else scene.slots.remove(index);
}
