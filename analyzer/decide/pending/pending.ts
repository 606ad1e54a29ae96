/**
 * The pending start of one slot. A slot has at most one:
 *
 *     none --(decided)--> waiting --(nudger: sent)--> sent --(instance listed or exited, or droplet_lost)--> none
 *                            |---(nudger: dropped, or canceled here)--------------------------------------> none
 */

import { decisionId } from '../../../common/model/decision-id.ts';
import type { Exit, Holds, Instance, PendingStart, Slot } from '../../../common/model/droplet.ts';
import { isActiveState } from '../../../common/model/instance-states.ts';
import { type DropReason, START_PRIORITY, type StartReason } from '../../../common/model/reasons.ts';
import { updateRequired } from '../../../common/policy/fleet/holds.ts';
import { countAttempt, forgetAttempts, isUnplaced } from '../../../common/policy/slots/attempts.ts';
import { isGivenUp } from '../../../common/policy/slots/flapping.ts';
import { PROBED_INDEX } from '../../../common/policy/slots/probing.ts';
import { isWanted, isWantedIgnoringMassDelete } from '../../../common/policy/slots/wanted.ts';
import { queuePriority } from '../../../common/queues/queue-priority.ts';
import type { StartDecision } from '../decision.ts';
import type { DecisionDraft } from '../decision-draft.ts';
import { addTrigger, type StartTriggers } from '../starts/start-triggers.ts';

/** A restart that is not sent this long after it was due has lost its job, or the clock of its timer is slow. */
const RESTART_SAFETY_MS = 1000;

/** The start that a slot needs. */
export interface StartNeed {
  reason: StartReason;
  dueMs?: number;
}

/** Decides the start. */
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

/** An evacuation raises a waiting start to high priority, and no hold prevents it any more. Nothing else changes it. */
export function raisePriority(draft: DecisionDraft, { index, version }: Slot, start: PendingStart): void {
  if (start.priority === 'high' || draft.snapshot.droplet.outcomes.has(start.id)) return;
  const raised: PendingStart = { ...start, reason: 'evacuated', priority: 'high' };
  const slot = draft.slots.edit(index, version);
  slot.start = raised;
  draft.decisions.push({
    kind: 'raise',
    id: start.id,
    index,
    version,
    reason: 'evacuated',
    priority: 'high',
    queuePriority: queuePriority('high', draft.missingShare, slot.attempts),
  });
}

function startDecision(draft: DecisionDraft, slot: Slot, start: PendingStart): StartDecision {
  const { index, version, attempts } = slot;
  const { id, reason, priority, dueMs } = start;
  return {
    kind: 'start',
    id,
    index,
    version,
    reason,
    priority,
    queuePriority: queuePriority(priority, draft.missingShare, attempts),
    ...(dueMs === undefined ? {} : { dueMs }),
    ...(attempts === undefined ? {} : { attempts }),
  };
}

/** Cancels a start if it still waits. */
export function cancelStart(
  draft: DecisionDraft,
  { index, version, start }: Pick<Slot, 'index' | 'version' | 'start'>,
  why: DropReason,
): void {
  if (start === undefined || draft.snapshot.droplet.outcomes.has(start.id)) return;
  const { id, reason } = start;
  draft.decisions.push({ kind: 'cancel', what: 'start', id, index, version, reason, why });
}

/** Ends the slot's start if it is over, and counts it if it did not help. Otherwise requeues the droplet for when it may be. */
export function closeStartIfDone(draft: DecisionDraft, slot: Slot, triggers: StartTriggers): void {
  const { start } = slot;
  if (start === undefined) return;
  const end = startEnd(draft, slot, start, triggers);
  if (end === undefined) return;
  const ended = draft.slots.edit(slot.index, slot.version);
  delete ended.start;
  if (end === 'ended') keepEvent(draft, ended, start);
  if (end === 'helped') forgetAttempts(ended);
  if (end !== 'did_not_help') return;
  const sentMs = draft.snapshot.droplet.outcomes.get(start.id)?.atMs ?? draft.snapshot.nowMs;
  addAttempt(draft, ended, sentMs);
}

/** A hold that came on after the decision dropped the start: the event that it answers is received only once. */
function keepEvent({ snapshot }: DecisionDraft, slot: Slot, { id, reason }: PendingStart): void {
  const why = snapshot.droplet.outcomes.get(id)?.why;
  if (reason !== 'missing' && why?.startsWith('held:')) slot.heldFor = reason;
}

function addAttempt(draft: DecisionDraft, slot: Slot, sentMs: number): void {
  const { droplet, nowMs, settings } = draft.snapshot;
  const wasUnplaced = isUnplaced(slot);
  countAttempt(slot, sentMs, settings);
  const { index, version, attempts } = slot;
  if (wasUnplaced || !isUnplaced(slot) || attempts === undefined) return;
  const id = decisionId(droplet, `unplaced-${index}`, nowMs);
  draft.decisions.push({ kind: 'unplaced', id, index, version, attempts });
}

/** How a start is over: `ended` without having been sent. Undefined: it is not over. */
function startEnd(
  draft: DecisionDraft,
  slot: Slot,
  start: PendingStart,
  triggers: StartTriggers,
): 'ended' | 'helped' | 'did_not_help' | undefined {
  const { droplet, holds, live, nowMs, settings } = draft.snapshot;
  const outcome = droplet.outcomes.get(start.id);
  if (outcome === undefined) {
    const why = whyCancel(draft, slot, start);
    if (why === undefined) scheduleJobCheck(draft, slot, start);
    else cancelStart(draft, slot, why);
    return why === undefined ? undefined : 'ended';
  }
  if (outcome.outcome === 'dropped') return 'ended';
  if (live.has(slot.index)) return 'helped';
  // An exit triggers a start only after the pass that follows a droplet.updated, so until then it does not end this one.
  const mustWait = updateRequired(draft.snapshot);
  const sent = { index: slot.index, reason: start.reason, atMs: outcome.atMs };
  const exit = mustWait ? undefined : exitSince(draft, sent);
  if (exit !== undefined) addTrigger(exit, triggers);
  if (exit !== undefined || wasListedSince(draft, sent)) return 'helped';
  const expiresMs = outcome.atMs + settings.dropletLostMs;
  if (nowMs <= expiresMs) {
    draft.requeueAt(expiresMs + 1);
    return undefined;
  }
  const hold = unheardBecauseOf(holds, outcome.atMs);
  if (hold === undefined) return 'did_not_help';
  draft.requeueSoon(hold);
  return undefined;
}

/**
 * Why an instance that was started then may run although no heartbeat has listed it: heartbeats may have been missed; or its DEA was
 * cut off with most others before it could tell.
 */
function unheardBecauseOf(
  { actualNotFresh, massLossSinceMs }: Holds,
  sentMs: number,
): 'actual_not_fresh' | 'mass_loss' | undefined {
  if (actualNotFresh) return 'actual_not_fresh';
  return massLossSinceMs !== undefined && sentMs <= massLossSinceMs ? 'mass_loss' : undefined;
}

/** Why a waiting start is no longer right; undefined if it still is. */
function whyCancel(draft: DecisionDraft, slot: Slot, start: PendingStart): DropReason | undefined {
  const { snapshot } = draft;
  const { droplet, holds, live, nowMs, settings } = snapshot;
  const wanted =
    start.reason === 'missing'
      ? isWanted(droplet, slot.index)
      : isWantedIgnoringMassDelete(droplet, slot.index, holds);
  if (!wanted) return 'not_wanted';
  if (live.has(slot.index)) return 'live';
  if (isGivenUp(slot, nowMs, settings)) return 'given_up';
  return slot.index !== PROBED_INDEX && draft.isProbing ? 'probing' : undefined;
}

/**
 * A start waits without a time limit, so its job must not be lost. Every reconcile after the one that decided the start
 * verifies the job, and this function schedules the next one:
 *
 * - The longer a start has waited, the rarer the checks. A start that waits long is one of many, and checking them all
 *   often would be most of the analyzer's work.
 * - Once the job is known to be in the queue, the first checks are skipped. They are for an analyzer that died after it
 *   stored the start and before it added the job.
 * - The job of a delayed restart is verified only when it is due.
 */
function scheduleJobCheck(draft: DecisionDraft, slot: Slot, start: PendingStart): void {
  const { nowMs, settings } = draft.snapshot;
  const { decidedMs, dueMs } = start;
  const lostMs = settings.dropletLostMs;
  const firstMs = dueMs === undefined ? decidedMs + lostMs : Math.max(dueMs, decidedMs) + RESTART_SAFETY_MS;
  if (nowMs >= firstMs || (dueMs === undefined && nowMs !== decidedMs))
    draft.verifyJobs.push(startDecision(draft, slot, start));
  const atMs = nowMs < firstMs ? firstMs : firstMs + nextCheckMs(nowMs - firstMs, lostMs);
  const onceEnqueuedMs = dueMs === undefined ? decidedMs + MAX_CHECK_INTERVAL * lostMs : atMs;
  draft.requeueAt(atMs, Math.max(atMs, onceEnqueuedMs));
}

/**
 * The first check comes after `droplet_lost`. Each next one comes when the start has waited 4 times as long, but the
 * interval never exceeds 16 * `droplet_lost`. A job is nearly always lost in the second in which it is added, and then
 * the first check restores it.
 */
const CHECK_GROWTH = 4;
const MAX_CHECK_INTERVAL = 16;

/** When the next check comes if `waitedMs` have passed; both count from the first check. */
function nextCheckMs(waitedMs: number, lostMs: number): number {
  const longestMs = lostMs * MAX_CHECK_INTERVAL;
  const ageMs = waitedMs + lostMs;
  if (ageMs >= longestMs) return longestMs * (Math.floor(ageMs / longestMs) + 1) - lostMs;
  let nextMs = lostMs;
  while (nextMs <= ageMs) nextMs *= CHECK_GROWTH;
  return nextMs - lostMs;
}

/** A start that the nudger has sent. */
interface SentStart {
  index: number;
  reason: StartReason;
  atMs: number;
}

/** The exit of the instance that this start created: not of one that was known at the slot before. */
function exitSince({ snapshot }: DecisionDraft, sent: SentStart): Exit | undefined {
  const { exits, instances, desired } = snapshot.droplet;
  return exits.find((exit) => {
    if (exit.index !== sent.index || exit.version !== desired?.version || exit.atMs <= sent.atMs)
      return false;
    const known = instances.find(({ guid }) => guid === exit.instance);
    return !(known !== undefined && known.firstListedMs <= sent.atMs) && !isEndOfEvacuated(sent, exit, known);
  });
}

/**
 * Whether an exit belongs to the evacuated instance that this start replaces. Its DEA announces the evacuation, lists
 * the instance as EVACUATING or not at all, and later sends a DEA_SHUTDOWN exit for it.
 */
function isEndOfEvacuated({ reason }: SentStart, exit: Exit, known: Instance | undefined): boolean {
  if (reason !== 'evacuated' || exit.reason !== 'DEA_SHUTDOWN') return false;
  return known === undefined || known.state === 'EVACUATING';
}

/**
 * Whether a heartbeat has listed the instance that this start created. A CRASHED instance at the slot is left over from
 * the previous one. An instance whose exit was known when the start was sent is the replaced one, even if it was first
 * listed after that.
 */
function wasListedSince({ snapshot }: DecisionDraft, sent: SentStart): boolean {
  const { instances, desired } = snapshot.droplet;
  return instances.some((instance) => {
    const { guid, state, version, index, firstListedMs } = instance;
    if (index !== sent.index || version !== desired?.version || firstListedMs <= sent.atMs) return false;
    if (!isActiveState(state)) return false;
    const exit = snapshot.exits.get(guid);
    return exit === undefined || (exit.atMs > sent.atMs && !isEndOfEvacuated(sent, exit, instance));
  });
}
