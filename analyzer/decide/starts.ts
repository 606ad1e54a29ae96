/**
 * Starts. A slot that is wanted and has no live instance goes through
 *
 *     nothing --(decided)--> waiting --(nudger: sent)--> sent --(heard, exited, or droplet_lost)--> nothing
 *                               |---(nudger: dropped, or taken back here)------------------------> nothing
 *
 * so it has at most one start on its way.
 */
import type { Exit, HoldName, PendingStart, Slot, StartReason } from '../../common/droplet.ts';
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
      const asBefore = isWantedAsLastKnown(sight.droplet, index, sight.holds);
      if (asBefore && !sight.live.has(index)) decideStart(scene, index, events);
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
export function cancelStart(
  scene: Scene,
  { index, version, start }: Pick<Slot, 'index' | 'version' | 'start'>,
  why: DropReason,
): void {
  if (start === undefined || scene.sight.droplet.outcomes.has(start.id)) return;
  const { id, reason } = start;
  scene.decisions.push({ kind: 'cancel', what: 'start', id, index, version, reason, why });
}

/** Ends the slot's start if it is over, and otherwise sees to it that its end is noticed. */
function settleStart(scene: Scene, slot: Slot, events: Events): void {
  if (slot.start === undefined) return;
  if (isStartOver(scene, slot, slot.start, events)) delete scene.slots.edit(slot.index, slot.version).start;
}

function isStartOver(scene: Scene, slot: Slot, start: PendingStart, events: Events): boolean {
  const { droplet, live, now, settings } = scene.sight;
  const outcome = droplet.outcomes.get(start.id);
  if (outcome === undefined) {
    const why = whyCancel(scene, slot, start);
    if (why === undefined) remind(scene, slot, start);
    else cancelStart(scene, slot, why);
    return why !== undefined;
  }
  if (outcome.outcome === 'dropped' || live.has(slot.index)) return true;
  const exit = exitSince(scene, slot.index, outcome.atMs);
  if (exit !== undefined) addEvent(exit, events);
  const lostMs = outcome.atMs + settings.dropletLostMs;
  if (exit !== undefined || wasHeardSince(scene, slot.index, outcome.atMs) || now > lostMs) return true;
  scene.look(lostMs + 1);
  return false;
}

/** Why a start that waits is no longer right. */
function whyCancel({ sight }: Scene, slot: Slot, start: PendingStart): DropReason | undefined {
  const { droplet, holds, live, now, settings } = sight;
  const wanted =
    start.reason === 'missing'
      ? isWanted(droplet, slot.index)
      : isWantedAsLastKnown(droplet, slot.index, holds);
  if (!wanted) return 'not_wanted';
  if (live.has(slot.index)) return 'live';
  return isGivenUp(slot, now, settings) ? 'given_up' : undefined;
}

/** A start waits without a time limit; every now and then its job is made sure of. */
function remind(scene: Scene, slot: Slot, start: PendingStart): void {
  const { now, settings } = scene.sight;
  const { decidedMs, dueMs } = start;
  const lostMs = settings.dropletLostMs;
  const from = dueMs === undefined ? decidedMs + lostMs : Math.max(dueMs, decidedMs) + RESTART_SAFETY_MS;
  if (now >= from) scene.ensure.push(orderOf(scene, slot, start));
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
  const { now, settings } = sight;
  const slot = slots.get(index);
  if (slot !== undefined && isGivenUp(slot, now, settings)) {
    scene.look((slot.lastCrashMs ?? now) + settings.flappingTimeoutMs + 1);
    setHeld(scene, index, undefined);
    return;
  }
  const evacuated = events.evacuated.has(index) || sight.evacuating.has(index);
  if (slot?.start !== undefined) {
    if (evacuated) lift(scene, slot, slot.start);
    return;
  }
  const need = neededStart(scene, index, slot, events, evacuated);
  const hold = need === undefined ? undefined : holdOnStart(sight, need.reason, index);
  if (need === undefined || hold === undefined) setHeld(scene, index, undefined);
  else setHeld(scene, index, { hold, reason: need.reason });
  if (need !== undefined && hold === undefined) order(scene, index, need);
}

interface Need {
  reason: StartReason;
  dueMs?: number;
}

/** The start is decided. */
function order(scene: Scene, index: number, { reason, dueMs }: Need): void {
  const { droplet, now } = scene.sight;
  const slot = scene.slots.edit(index, droplet.desired?.version ?? '');
  slot.start = {
    id: decisionId(droplet, `start-${index}`, now),
    reason,
    priority: START_PRIORITY[reason],
    decidedMs: now,
    ...(dueMs === undefined ? {} : { dueMs }),
  };
  scene.decisions.push(orderOf(scene, slot, slot.start));
  remind(scene, slot, slot.start);
}

/** The start that the slot needs, and why; undefined if none, or not yet. */
function neededStart(
  scene: Scene,
  index: number,
  slot: Slot | undefined,
  events: Events,
  evacuated: boolean,
): Need | undefined {
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

/** While a start waits only an evacuation changes it: it becomes urgent, and no hold keeps it back any more. */
function lift(scene: Scene, { index, version }: Slot, start: PendingStart): void {
  if (start.priority === 'high' || scene.sight.droplet.outcomes.has(start.id)) return;
  const lifted: PendingStart = { ...start, reason: 'evacuated', priority: 'high' };
  scene.slots.edit(index, version).start = lifted;
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

function orderOf(scene: Scene, { index, version }: Slot, start: PendingStart): StartDecision {
  const { id, reason, priority, dueMs } = start;
  return {
    kind: 'start',
    id,
    index,
    version,
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
  held: { hold: HoldName; reason: StartReason } | undefined,
): void {
  const before = scene.slots.get(index)?.held;
  const { droplet, now } = scene.sight;
  const version = droplet.desired?.version ?? '';
  if (held === undefined) {
    if (before !== undefined) delete scene.slots.edit(index, version).held;
    return;
  }
  scene.lookSoon();
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
  const { droplet, holds, live, now, settings } = scene.sight;
  const isLive = live.has(index);
  if (held !== undefined && (isLive || !isWantedAsLastKnown(droplet, index, holds))) {
    delete scene.slots.edit(index, version).held;
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
