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
import { isWanted, isWantedIgnoringMassDelete } from '../../common/policy/wanted.ts';
import type { StartDecision } from './decision.ts';
import type { DecisionDraft } from './decision-draft.ts';
import { addTrigger, type StartTriggers } from './start-triggers.ts';

/** A restart that is not sent so long after it was due has lost its job, or its timer's clock is slow. */
const RESTART_SAFETY_MS = 1000;

/** The start that a slot needs. */
export interface StartNeed {
  reason: StartReason;
  dueMs?: number;
}

/** The start is decided. */
export function recordStart(draft: DecisionDraft, index: number, { reason, dueMs }: StartNeed): void {
  const { droplet, nowMs } = draft.snapshot;
  const slot = draft.slots.edit(index, droplet.desired?.version ?? '');
  slot.start = {
    id: decisionId(droplet, `start-${index}`, nowMs),
    reason,
    priority: START_PRIORITY[reason],
    decidedMs: nowMs,
    ...(dueMs === undefined ? {} : { dueMs }),
  };
  draft.decisions.push(startDecision(draft, slot, slot.start));
  scheduleJobCheck(draft, slot, slot.start);
}

/** While a start waits only an evacuation changes it: it becomes urgent, and no hold keeps it back any more. */
export function raisePriority(draft: DecisionDraft, { index, version }: Slot, start: PendingStart): void {
  if (start.priority === 'high' || draft.snapshot.droplet.outcomes.has(start.id)) return;
  const raised: PendingStart = { ...start, reason: 'evacuated', priority: 'high' };
  draft.slots.edit(index, version).start = raised;
  draft.decisions.push({
    kind: 'raise',
    id: start.id,
    index,
    version,
    reason: 'evacuated',
    priority: 'high',
    queuePriority: queuePriority('high', draft.missingShare),
  });
}

function startDecision(draft: DecisionDraft, { index, version }: Slot, start: PendingStart): StartDecision {
  const { id, reason, priority, dueMs } = start;
  return {
    kind: 'start',
    id,
    index,
    version,
    reason,
    priority,
    queuePriority: queuePriority(priority, draft.missingShare),
    ...(dueMs === undefined ? {} : { dueMs }),
  };
}

/** Takes a waiting start back: it is logged, and its job need not be kept. */
export function cancelStart(
  draft: DecisionDraft,
  { index, version, start }: Pick<Slot, 'index' | 'version' | 'start'>,
  why: DropReason,
): void {
  if (start === undefined || draft.snapshot.droplet.outcomes.has(start.id)) return;
  const { id, reason } = start;
  draft.decisions.push({ kind: 'cancel', what: 'start', id, index, version, reason, why });
}

/** Ends the slot's start if it is over, and otherwise sees to it that its end is noticed. */
export function closeStartIfDone(draft: DecisionDraft, slot: Slot, events: StartTriggers): void {
  if (slot.start === undefined) return;
  if (isStartOver(draft, slot, slot.start, events)) delete draft.slots.edit(slot.index, slot.version).start;
}

function isStartOver(draft: DecisionDraft, slot: Slot, start: PendingStart, events: StartTriggers): boolean {
  const { droplet, holds, live, nowMs, settings } = draft.snapshot;
  const outcome = droplet.outcomes.get(start.id);
  if (outcome === undefined) {
    const why = whyCancel(draft, slot, start);
    if (why === undefined) scheduleJobCheck(draft, slot, start);
    else cancelStart(draft, slot, why);
    return why !== undefined;
  }
  if (outcome.outcome === 'dropped' || live.has(slot.index)) return true;
  // What it asks for waits for the pass after a `droplet.updated`, and so does the end of this start.
  const waits = updateRequired(droplet, holds);
  const sent = { index: slot.index, reason: start.reason, atMs: outcome.atMs };
  const exit = waits ? undefined : exitSince(draft, sent);
  if (exit !== undefined) addTrigger(exit, events);
  if (exit !== undefined || wasHeardSince(draft, sent)) return true;
  const lostMs = outcome.atMs + settings.dropletLostMs;
  // What came of it may have been said when nobody listened: the silence says nothing yet.
  if (nowMs > lostMs && !holds.actualNotFresh) return true;
  if (nowMs > lostMs) draft.requeueSoon('actual_not_fresh');
  else draft.requeueAt(lostMs + 1);
  return false;
}

/** Why a start that waits is no longer right. */
function whyCancel({ snapshot }: DecisionDraft, slot: Slot, start: PendingStart): DropReason | undefined {
  const { droplet, holds, live, nowMs, settings } = snapshot;
  const wanted =
    start.reason === 'missing'
      ? isWanted(droplet, slot.index)
      : isWantedIgnoringMassDelete(droplet, slot.index, holds);
  if (!wanted) return 'not_wanted';
  if (live.has(slot.index)) return 'live';
  return isGivenUp(slot, nowMs, settings) ? 'given_up' : undefined;
}

/**
 * A start waits without a time limit. Its job is made sure of at every look after the one that decided it, and there is one
 * every now and then, the more rarely the longer it has waited: who waits for long is one of many, and looking after all of
 * them would be most of the work. Once its job is known to be there the first ones are not needed: they are for a job that
 * whoever decided on it did not live to add. That of a delayed restart is made sure of only when it is due.
 */
function scheduleJobCheck(draft: DecisionDraft, slot: Slot, start: PendingStart): void {
  const { nowMs, settings } = draft.snapshot;
  const { decidedMs, dueMs } = start;
  const lostMs = settings.dropletLostMs;
  const from = dueMs === undefined ? decidedMs + lostMs : Math.max(dueMs, decidedMs) + RESTART_SAFETY_MS;
  if (nowMs >= from || (dueMs === undefined && nowMs !== decidedMs))
    draft.verifyJobs.push(startDecision(draft, slot, start));
  const atMs = nowMs < from ? from : from + nextReminderMs(nowMs - from, lostMs);
  const onceEnqueuedMs = dueMs === undefined ? decidedMs + REMIND_AT_LEAST_EVERY * lostMs : atMs;
  draft.requeueAt(atMs, Math.max(atMs, onceEnqueuedMs));
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
function exitSince({ snapshot }: DecisionDraft, sent: Sent): Exit | undefined {
  const { exits, instances, desired } = snapshot.droplet;
  return exits.find((exit) => {
    if (exit.index !== sent.index || exit.version !== desired?.version || exit.atMs <= sent.atMs)
      return false;
    const known = instances.find(({ guid }) => guid === exit.instance);
    return !(known !== undefined && known.firstListedMs <= sent.atMs) && !isEndOfEvacuated(sent, exit, known);
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
function wasHeardSince({ snapshot }: DecisionDraft, sent: Sent): boolean {
  const { instances, desired } = snapshot.droplet;
  return instances.some((instance) => {
    const { guid, state, version, index, firstListedMs } = instance;
    if (index !== sent.index || version !== desired?.version || firstListedMs <= sent.atMs) return false;
    if (state !== 'STARTING' && state !== 'RUNNING' && state !== 'EVACUATING') return false;
    const exit = snapshot.exits.get(guid);
    return exit === undefined || (exit.atMs > sent.atMs && !isEndOfEvacuated(sent, exit, instance));
  });
}
