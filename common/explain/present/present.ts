/** The present state of a droplet, slot by slot, as text. Pure. */
import type { Droplet, Exit, Holds, Instance, PendingStart, PendingStop, Slot } from '../../model/droplet.ts';
import type { OperatorHold } from '../../model/operator-hold.ts';
import { HOLD_NAMES, type HoldName, type StartReason } from '../../model/reasons.ts';
import {
  holdOnStart,
  isMassLoss,
  mayHaveUnstoredHeartbeat,
  updateRequired,
} from '../../policy/fleet/holds.ts';
import { isListed, lastHeartbeatMs } from '../../policy/fleet/liveness.ts';
import { isUnplaced, retryAtMs } from '../../policy/slots/attempts.ts';
import { isGivenUp } from '../../policy/slots/flapping.ts';
import { graceEndsMs, notDesiredSinceMs, wantedIndices } from '../../policy/slots/wanted.ts';
import { type Snapshot, takeSnapshot } from '../../policy/snapshot.ts';
import type { ObservedDroplet } from '../observed-droplet.ts';
import type { Tone } from '../sentences/line.ts';
import { operatorHoldLine } from '../sentences/operator-sentences.ts';
import { dropText, exitCauseText, formatDuration, HOLD_TEXT, STOP_TEXT, type Times } from '../wording.ts';
import { type Absent, absentText, crashesText, type Step } from './step.ts';

export interface Present {
  /** Number of wanted indices. */
  wanted: number;
  /** Wanted indices with a live RUNNING instance. */
  running: number;
  slots: SlotPresent[];
  /** Instances that are not live at a wanted slot, and what happens to them. */
  others: { instance: Instance; text: string; tone: Tone }[];
  holds: { name: HoldName; text: string }[];
}

/** A wanted slot. */
export interface SlotPresent {
  index: number;
  /** RUNNING, STARTING; without a live instance GIVEN UP, UNPLACED, FLAPPING or MISSING. */
  state: string;
  tone: Tone;
  instances: Instance[];
  /** Notes; without a live instance the next step. */
  text: string;
  /** Its crashes and its next step as data; only without a live instance. */
  absent?: Absent;
}

/** What the processes do, as far as the present state of a droplet depends on it. */
export interface Workers {
  /** No nudger takes jobs: what is queued waits for one. */
  noNudger: boolean;
}

const ALL_WORK: Workers = { noNudger: false };

/** @param holds those that are on for the whole deployment */
export function presentOf(
  view: ObservedDroplet,
  holds: Holds,
  times: Times,
  workers: Workers = ALL_WORK,
): Present {
  const snapshot = takeSnapshot(view.droplet, view.deas, holds, view.nowMs, view.settings);
  const wanted = wantedIndices(view.droplet);
  const slots = Array.from({ length: wanted }, (_, index) => slotPresent(snapshot, index, times, workers));
  const shown = new Set(slots.flatMap(({ instances }) => instances));
  return {
    wanted,
    running: slots.filter(({ state }) => state === 'RUNNING').length,
    slots,
    others: view.droplet.instances
      .filter((instance) => !shown.has(instance))
      .sort((a, b) => a.index - b.index || a.firstListedMs - b.firstListedMs)
      .map((instance) => ({ instance, ...otherPresent(snapshot, instance) })),
    holds: holdsOf(snapshot).map((name) => ({ name, text: presentHoldText(snapshot, name, times) })),
  };
}

/** The holds that prevent decisions about this droplet. */
function holdsOf(snapshot: Snapshot): HoldName[] {
  const { droplet, holds } = snapshot;
  const mayBeStale = droplet.instances.some((instance) => mayHaveUnstoredHeartbeat(snapshot, instance));
  const isInMassLoss = droplet.instances.some((instance) => isMassLoss(snapshot, instance));
  const on: [HoldName, boolean][] = [
    ['update_required', updateRequired(snapshot)],
    ['desired_unavailable', holds.desiredUnavailable],
    ['actual_not_fresh', holds.actualNotFresh || mayBeStale],
    ['mass_loss', isInMassLoss],
    ['operator', operatorHoldsOn(snapshot).length > 0],
    ['mass_delete', holds.massDelete && notDesiredSinceMs(droplet) !== undefined],
  ];
  return on.filter(([, isOn]) => isOn).map(([name]) => name);
}

/** The operator holds that cover the droplet or one of its instances. */
function operatorHoldsOn({ droplet, holds }: Snapshot): OperatorHold[] {
  const deas = new Set(droplet.instances.map(({ dea }) => dea));
  return (holds.operatorHolds ?? []).filter((hold) => {
    if (hold.droplet !== undefined) return hold.droplet === droplet.id;
    return hold.dea === undefined || deas.has(hold.dea);
  });
}

function presentHoldText(snapshot: Snapshot, name: HoldName, times: Times): string {
  if (name !== 'operator') return HOLD_TEXT[name];
  return operatorHoldsOn(snapshot)
    .map((hold) => operatorHoldLine(hold, times))
    .join('; ');
}

function slotPresent(snapshot: Snapshot, index: number, times: Times, workers: Workers): SlotPresent {
  const live = snapshot.live.get(index) ?? [];
  const slot = snapshot.droplet.slots.get(index);
  const running = live.filter((instance) => snapshot.effectiveStates.get(instance) === 'RUNNING');
  if (live.length > 0) {
    const state = running.length > 0 ? 'RUNNING' : 'STARTING';
    const instances = [...running, ...live.filter((instance) => !running.includes(instance))];
    const stops = instances.flatMap(({ guid }) => snapshot.droplet.stops.get(guid) ?? []);
    const notes = [
      ...(live.length > 1 ? [`runs ${live.length} times`] : []),
      ...stops.map((stop) => stopText(snapshot, stop)),
      ...(slot !== undefined && slot.crashes > 0
        ? [
            crashesText(
              slot.crashes,
              slot.lastCrashMs,
              snapshot.nowMs,
              lastCrashAt(snapshot.droplet, index).lastCrash,
            ),
          ]
        : []),
    ];
    const isGood = state === 'RUNNING' && live.length === 1;
    return { index, state, tone: isGood ? 'good' : 'action', instances, text: notes.join('; ') };
  }
  const absent = absentOf(snapshot, index, workers);
  const { state } = absent;
  return {
    index,
    state,
    tone: 'trouble',
    instances: [],
    text: absentText(absent, snapshot.nowMs, times),
    absent,
  };
}

/** The crashes and the next step of a wanted slot without a live instance. */
export function absentOf(snapshot: Snapshot, index: number, workers: Workers = ALL_WORK): Absent {
  const { droplet, nowMs, settings } = snapshot;
  const slot = droplet.slots.get(index);
  const crashes = slot?.crashes ?? 0;
  const last = {
    ...(slot?.lastCrashMs !== undefined && { lastCrashMs: slot.lastCrashMs }),
    ...lastCrashAt(droplet, index),
    ...(slot?.attempts !== undefined && { attempts: slot.attempts }),
  };
  if (slot !== undefined && isGivenUp(slot, nowMs, settings)) {
    const untilMs = (slot.lastCrashMs ?? nowMs) + settings.flappingTimeoutMs;
    return { state: 'GIVEN UP', crashes, ...last, step: { kind: 'given_up', untilMs } };
  }
  const state = slot !== undefined && isUnplaced(slot) ? 'UNPLACED' : slot?.flapping ? 'FLAPPING' : 'MISSING';
  if (slot?.start !== undefined) {
    return { state, crashes, ...last, step: stepOf(snapshot, slot, slot.start, workers) };
  }
  if (slot?.held !== undefined) {
    return { state, crashes, ...last, step: { kind: 'held', hold: slot.held } };
  }
  if (slot?.retryMs !== undefined && nowMs < slot.retryMs) {
    return { state, crashes, ...last, step: { kind: 'retry', untilMs: slot.retryMs } };
  }
  const untilMs = graceEndsMs(snapshot, index);
  if (nowMs < untilMs) return { state, crashes, ...last, step: { kind: 'grace', untilMs } };
  return { state, crashes, ...last, step: heldStep(snapshot, 'missing', index) ?? { kind: 'soon' } };
}

/** A hold that came on since the slot was reconciled is not in its record yet. */
function heldStep(snapshot: Snapshot, reason: StartReason, index: number): Step | undefined {
  const hold = holdOnStart(snapshot, reason, index);
  return hold === undefined || hold === 'evaluating' ? undefined : { kind: 'held', hold };
}

function stepOf(
  snapshot: Snapshot,
  { index, attempts = 0 }: Slot,
  start: PendingStart,
  { noNudger }: Workers,
): Step {
  const { droplet, settings, nowMs } = snapshot;
  const { id, reason, priority, decidedMs, dueMs } = start;
  const outcome = droplet.outcomes.get(id);
  if (outcome?.outcome === 'dropped') {
    const hold = HOLD_NAMES.find((name) => outcome.why === `held:${name}`);
    if (hold !== undefined) return { kind: 'held', hold };
    return { kind: 'dropped', ...(outcome.why === undefined ? {} : { why: outcome.why }) };
  }
  if (outcome !== undefined) {
    const { atMs } = outcome;
    return { kind: 'sent', reason, atMs, retryAtMs: retryAtMs(attempts + 1, atMs, settings) };
  }
  if (dueMs !== undefined && (dueMs > nowMs || !noNudger)) return { kind: 'restart', dueMs };
  const queued: Step = { kind: 'queued', reason, priority, sinceMs: dueMs ?? decidedMs };
  return heldStep(snapshot, reason, index) ?? (noNudger ? { ...queued, noNudger: true } : queued);
}

/** What the DEA reported of the last crash at the slot. */
function lastCrashAt({ exits, desired }: Droplet, index: number): Pick<Absent, 'lastCrash'> {
  let last: Exit | undefined;
  for (const exit of exits) {
    if (exit.reason !== 'CRASHED' || exit.index !== index || exit.version !== desired?.version) continue;
    if (last === undefined || exit.n > last.n) last = exit;
  }
  const lastCrash = last && exitCauseText(last.status, last.description);
  return lastCrash ? { lastCrash } : {};
}

/** An instance that is not live at a wanted slot. */
function otherPresent(snapshot: Snapshot, instance: Instance): { text: string; tone: Tone } {
  const { droplet, deas, nowMs, lostBeforeMs } = snapshot;
  const stop = droplet.stops.get(instance.guid);
  if (stop !== undefined) return { text: stopText(snapshot, stop), tone: 'action' };
  // The effective state comes before the exit: an instance may be reported long after its exit, or only be evacuating.
  const effective = snapshot.effectiveStates.get(instance);
  if (effective === 'EVACUATING')
    return { text: 'evacuating; stopped when another instance runs at its index', tone: 'action' };
  if (effective !== undefined && isListed(instance))
    return { text: 'surplus, not stopped yet', tone: 'action' };
  const exit = snapshot.exits.get(instance.guid);
  if (exit !== undefined) {
    const cause = exit.reason === 'CRASHED' ? exitCauseText(exit.status, exit.description) : '';
    const why = cause === '' ? exit.reason : `${exit.reason}: ${cause}`;
    return { text: `ended ${formatDuration(nowMs - exit.atMs)} ago (${why})`, tone: 'plain' };
  }
  const { state, index, lastListedMs } = instance;
  if (state === 'CRASHED') {
    const lists = lastListedMs === undefined ? 'its DEA still lists it' : 'its DEA no longer lists it';
    return { text: `crash record; ${lists}`, tone: 'plain' };
  }
  // It matters only while its slot is wanted and empty.
  const isMissed = index < wantedIndices(droplet) && !snapshot.live.has(index);
  const tone = isMissed ? 'trouble' : 'plain';
  if (lastListedMs !== undefined) return { text: 'its DEA no longer lists it', tone };
  if (lastHeartbeatMs(instance, deas) < lostBeforeMs) return { text: 'its DEA is silent', tone };
  return { text: 'does not count as running', tone };
}

function stopText({ droplet, nowMs }: Snapshot, stop: PendingStop): string {
  const why = `${stop.reason}: ${STOP_TEXT[stop.reason]}`;
  if (stop.held !== undefined) return `should be stopped (${why}); not stopped: hold ${stop.held}`;
  const outcome = droplet.outcomes.get(stop.id);
  if (outcome?.outcome === 'dropped') return `stop dropped: ${dropText(outcome.why)}`;
  const when = outcome === undefined ? 'decided' : 'sent';
  return `stop ${when} ${formatDuration(nowMs - (outcome?.atMs ?? stop.decidedMs))} ago (${why})`;
}
