/**
 * The start of one slot, from when it is decided to when it is over:
 *
 *     nothing --(decided)--> waiting --(nudger: sent)--> sent --(heard, exited, or droplet_lost)--> nothing
 *                               |---(nudger: dropped, or taken back here)------------------------> nothing
 *
 * so it has at most one start on its way.
 */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Exit, Instance, PendingStart, Slot, StartReason } from '../../common/model/droplet.ts';
import { type DropReason, queuePriority, START_PRIORITY } from '../../common/model/reasons.ts';
import { isGivenUp } from '../../common/policy/flapping.ts';
import { updateRequired } from '../../common/policy/holds.ts';
import { isWanted, isWantedAsLastKnown } from '../../common/policy/wanted.ts';
import type { StartDecision } from './decision.ts';
import type { Scene } from './decision-draft.ts';
import { addEvent, type Events } from './start-triggers.ts';

/** A restart that is not sent so long after it was due has lost its job, or its timer's clock is slow. */
const RESTART_SAFETY_MS = 1000;

/** The start that a slot needs. */
export interface Need {
  reason: StartReason;
  dueMs?: number;
}

/** The start is decided. */
export function order(scene: Scene, index: number, { reason, dueMs }: Need): void {
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

/** While a start waits only an evacuation changes it: it becomes urgent, and no hold keeps it back any more. */
export function lift(scene: Scene, { index, version }: Slot, start: PendingStart): void {
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
    queuePriority: queuePriority('high', scene.missingShare),
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
    queuePriority: queuePriority(priority, scene.missingShare),
    ...(dueMs === undefined ? {} : { dueMs }),
  };
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
export function settleStart(scene: Scene, slot: Slot, events: Events): void {
  if (slot.start === undefined) return;
  if (isStartOver(scene, slot, slot.start, events)) delete scene.slots.edit(slot.index, slot.version).start;
}

function isStartOver(scene: Scene, slot: Slot, start: PendingStart, events: Events): boolean {
  const { droplet, holds, live, now, settings } = scene.sight;
  const outcome = droplet.outcomes.get(start.id);
  if (outcome === undefined) {
    const why = whyCancel(scene, slot, start);
    if (why === undefined) remind(scene, slot, start);
    else cancelStart(scene, slot, why);
    return why !== undefined;
  }
  if (outcome.outcome === 'dropped' || live.has(slot.index)) return true;
  // What it asks for waits for the pass after a `droplet.updated`, and so does the end of this start.
  const waits = updateRequired(droplet, holds);
  const sent = { index: slot.index, reason: start.reason, atMs: outcome.atMs };
  const exit = waits ? undefined : exitSince(scene, sent);
  if (exit !== undefined) addEvent(exit, events);
  if (exit !== undefined || wasHeardSince(scene, sent)) return true;
  const lostMs = outcome.atMs + settings.dropletLostMs;
  // What came of it may have been said when nobody listened: the silence says nothing yet.
  if (now > lostMs && !holds.actualNotFresh) return true;
  if (now > lostMs) scene.lookSoon('actual_not_fresh');
  else scene.look(lostMs + 1);
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

/**
 * A start waits without a time limit. Its job is made sure of at every look after the one that decided it, and there is one
 * every now and then, the more rarely the longer it has waited: who waits for long is one of many, and looking after all of
 * them would be most of the work. Once its job is known to be there the first ones are not needed: they are for a job that
 * whoever decided on it did not live to add. That of a delayed restart is made sure of only when it is due.
 */
function remind(scene: Scene, slot: Slot, start: PendingStart): void {
  const { now, settings } = scene.sight;
  const { decidedMs, dueMs } = start;
  const lostMs = settings.dropletLostMs;
  const from = dueMs === undefined ? decidedMs + lostMs : Math.max(dueMs, decidedMs) + RESTART_SAFETY_MS;
  if (now >= from || (dueMs === undefined && now !== decidedMs))
    scene.ensure.push(orderOf(scene, slot, start));
  const atMs = now < from ? from : from + nextReminderMs(now - from, lostMs);
  const onceEnqueuedMs = dueMs === undefined ? decidedMs + REMIND_AT_LEAST_EVERY * lostMs : atMs;
  scene.look(atMs, Math.max(atMs, onceEnqueuedMs));
}

/**
 * Reminders come when a start has waited for `droplet_lost`, then for this many times as long as at the last one, and at the
 * least every so many `droplet_lost`. A job is lost, if at all, in the second in which it is added: then the first one helps.
 */
const REMIND_GROWTH = 4;
const REMIND_AT_LEAST_EVERY = 16;

/** When the first reminder after `waitedMs` comes, both since the very first one. */
function nextReminderMs(waitedMs: number, lostMs: number): number {
  const longestMs = lostMs * REMIND_AT_LEAST_EVERY;
  const ageMs = waitedMs + lostMs;
  if (ageMs >= longestMs) return longestMs * (Math.floor(ageMs / longestMs) + 1) - lostMs;
  let nextMs = lostMs;
  while (nextMs <= ageMs) nextMs *= REMIND_GROWTH;
  return nextMs - lostMs;
}

interface Sent {
  index: number;
  reason: StartReason;
  atMs: number;
}

/** The exit of an instance that came of this start: not of one that was known at the slot before. */
function exitSince({ sight }: Scene, sent: Sent): Exit | undefined {
  const { exits, instances, desired } = sight.droplet;
  return exits.find((exit) => {
    if (exit.index !== sent.index || exit.version !== desired?.version || exit.atMs <= sent.atMs)
      return false;
    const known = instances.find(({ guid }) => guid === exit.instance);
    return !(known !== undefined && known.firstHeardMs <= sent.atMs) && !isEndOfEvacuated(sent, exit, known);
  });
}

/**
 * Whether an exit ends what the start takes the place of: an announced evacuation is followed by a shutdown, and until
 * then the instance is heard as EVACUATING, if at all.
 */
function isEndOfEvacuated({ reason }: Sent, exit: Exit, known: Instance | undefined): boolean {
  if (reason !== 'evacuated' || exit.reason !== 'DEA_SHUTDOWN') return false;
  return known === undefined || known.state === 'EVACUATING';
}

/**
 * Whether an instance that came of this start was heard at the slot. A CRASHED one is the trace of the one before; and
 * one whose exit was known when the start was sent is what it replaces, however late its heartbeat came.
 */
function wasHeardSince({ sight }: Scene, sent: Sent): boolean {
  const { instances, desired } = sight.droplet;
  return instances.some((instance) => {
    const { guid, state, version, index, firstHeardMs } = instance;
    if (index !== sent.index || version !== desired?.version || firstHeardMs <= sent.atMs) return false;
    if (state !== 'STARTING' && state !== 'RUNNING' && state !== 'EVACUATING') return false;
    const exit = sight.exits.get(guid);
    return exit === undefined || (exit.atMs > sent.atMs && !isEndOfEvacuated(sent, exit, instance));
  });
}
