/** How a droplet is now, slot by slot, in words. Pure. */
import type { Droplet, HoldName, Holds, Instance, PendingStart, PendingStop } from '../model/droplet.ts';
import { isGivenUp } from '../policy/flapping.ts';
import { mayBeMassLoss, mayHaveBeenHeard, updateRequired } from '../policy/holds.ts';
import { heardMs } from '../policy/liveness.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { type Sight, see } from '../policy/snapshot.ts';
import { hasHadItsTimeMs, notDesiredSinceMs, wantedIndices } from '../policy/wanted.ts';
import type { DropletView } from './facts.ts';
import type { Tone } from './sentences.ts';
import { type Absent, absentText, crashesText, type Step } from './step.ts';
import { dropWords, HOLD_WORDS, inWords, STOP_WORDS, type Times } from './wording.ts';

export interface Present {
  /** How many indices are wanted, and how many of these have a live RUNNING instance. */
  wanted: number;
  running: number;
  slots: SlotPresent[];
  /** Instances that are not live at a wanted slot, with what is done about them. */
  others: { instance: Instance; text: string; tone: Tone }[];
  holds: { name: HoldName; text: string }[];
}

/** A wanted slot. */
export interface SlotPresent {
  index: number;
  /** RUNNING, STARTING, or why it is not: FLAPPING, GIVEN UP, MISSING. */
  state: string;
  tone: Tone;
  instances: Instance[];
  /** What else is to be said of it; what happens next. */
  text: string;
  /** The same as data, if nothing is live there. */
  absent?: Absent;
}

/** @param view what the droplet is like  @param holds those that are on */
export function presentOf(view: DropletView, holds: Holds, times: Times): Present {
  const sight = see(view.droplet, view.deas, holds, view.nowMs, view.policy);
  const wanted = wantedIndices(view.droplet);
  const slots = Array.from({ length: wanted }, (_, index) => slotPresent(sight, index, times));
  const shown = new Set(slots.flatMap(({ instances }) => instances));
  return {
    wanted,
    running: slots.filter(({ state }) => state === 'RUNNING').length,
    slots,
    others: view.droplet.instances
      .filter((instance) => !shown.has(instance))
      .sort((a, b) => a.index - b.index || a.firstHeardMs - b.firstHeardMs)
      .map((instance) => ({ instance, ...otherPresent(sight, instance) })),
    holds: holdsOf(sight).map((name) => ({ name, text: HOLD_WORDS[name] })),
  };
}

/** The holds that keep something from being decided for this droplet. */
function holdsOf(sight: Sight): HoldName[] {
  const { droplet, holds } = sight;
  const unheard = droplet.instances.some((instance) => mayHaveBeenHeard(sight, instance));
  const late = droplet.instances.some((instance) => mayBeMassLoss(sight, instance));
  const on: [HoldName, boolean][] = [
    ['update_required', updateRequired(droplet, holds)],
    ['desired_unavailable', holds.desiredUnavailable],
    ['actual_not_fresh', holds.actualNotFresh || unheard],
    ['mass_loss', late],
    ['mass_delete', holds.massDelete && notDesiredSinceMs(droplet) !== undefined],
  ];
  return on.filter(([, is]) => is).map(([name]) => name);
}

function slotPresent(sight: Sight, index: number, times: Times): SlotPresent {
  const live = sight.live.get(index) ?? [];
  const slot = sight.droplet.slots.get(index);
  const running = live.filter((instance) => sight.standings.get(instance) === 'RUNNING');
  if (live.length > 0) {
    const state = running.length > 0 ? 'RUNNING' : 'STARTING';
    const instances = [...running, ...live.filter((instance) => !running.includes(instance))];
    const stops = instances.flatMap(({ guid }) => sight.droplet.stops.get(guid) ?? []);
    const notes = [
      ...(live.length > 1 ? [`runs ${live.length} times`] : []),
      ...stops.map((stop) => stopText(sight, stop)),
      ...(slot !== undefined && slot.crashes > 0
        ? [crashesText(slot.crashes, slot.lastCrashMs, sight.now)]
        : []),
    ];
    const well = state === 'RUNNING' && live.length === 1;
    return { index, state, tone: well ? 'good' : 'action', instances, text: notes.join('; ') };
  }
  const absent = absentOf(sight, index);
  const { state } = absent;
  return { index, state, tone: 'trouble', instances: [], text: absentText(absent, sight.now, times), absent };
}

/** A wanted slot without a live instance: what is done about it, and when. */
export function absentOf({ droplet, now, settings }: Sight, index: number): Absent {
  const slot = droplet.slots.get(index);
  const crashes = slot?.crashes ?? 0;
  const last = slot?.lastCrashMs === undefined ? {} : { lastCrashMs: slot.lastCrashMs };
  if (slot !== undefined && isGivenUp(slot, now, settings)) {
    const untilMs = (slot.lastCrashMs ?? now) + settings.flappingTimeoutMs;
    return { state: 'GIVEN UP', crashes, ...last, step: { kind: 'given_up', untilMs } };
  }
  const state = slot?.flapping ? 'FLAPPING' : 'MISSING';
  if (slot?.start !== undefined) {
    return { state, crashes, ...last, step: stepOf(slot.start, droplet, settings) };
  }
  if (slot?.held !== undefined) {
    return { state, crashes, ...last, step: { kind: 'held', hold: slot.held } };
  }
  const untilMs = hasHadItsTimeMs(droplet, index, settings);
  return { state, crashes, ...last, step: now < untilMs ? { kind: 'grace', untilMs } : { kind: 'soon' } };
}

function stepOf(start: PendingStart, { outcomes }: Droplet, { dropletLostMs }: PolicySettings): Step {
  const { id, reason, priority, decidedMs, dueMs } = start;
  const outcome = outcomes.get(id);
  if (outcome?.outcome === 'dropped') {
    return { kind: 'dropped', ...(outcome.why === undefined ? {} : { why: outcome.why }) };
  }
  if (outcome !== undefined) {
    return { kind: 'sent', reason, atMs: outcome.atMs, againMs: outcome.atMs + dropletLostMs };
  }
  if (dueMs !== undefined) return { kind: 'restart', dueMs };
  return { kind: 'waits', reason, priority, sinceMs: decidedMs };
}

/** An instance that is not live at a wanted slot. */
function otherPresent(sight: Sight, instance: Instance): { text: string; tone: Tone } {
  const { droplet, deas, now, settings } = sight;
  const stop = droplet.stops.get(instance.guid);
  if (stop !== undefined) return { text: stopText(sight, stop), tone: 'action' };
  // An exit says nothing of an instance that is heard long after it, or that only announced that it leaves.
  const counts = sight.standings.get(instance);
  if (counts === 'EVACUATING') return { text: 'leaves when its place is filled', tone: 'action' };
  if (counts !== undefined) return { text: 'surplus, not to be stopped yet', tone: 'action' };
  const exit = sight.exits.get(instance.guid);
  if (exit !== undefined) {
    return { text: `ended ${inWords(now - exit.atMs)} ago (${exit.reason})`, tone: 'plain' };
  }
  const { state, index, lastListedMs } = instance;
  if (state === 'CRASHED') {
    const lists = lastListedMs === undefined ? 'its DEA still lists it' : 'its DEA lists it no more';
    return { text: `the record of a crash; ${lists}`, tone: 'plain' };
  }
  // Whose place is filled, or not wanted, is missed by nobody.
  const isMissed = index < wantedIndices(droplet) && !sight.live.has(index);
  const tone = isMissed ? 'trouble' : 'plain';
  if (lastListedMs !== undefined) return { text: 'its DEA lists it no more', tone };
  if (now - heardMs(instance, deas) > settings.dropletLostMs) return { text: 'its DEA is silent', tone };
  return { text: 'counts as not running', tone };
}

function stopText({ droplet, now }: Sight, stop: PendingStop): string {
  const why = `${stop.reason}: ${STOP_WORDS[stop.reason]}`;
  if (stop.held !== undefined) return `to be stopped (${why}), but hold ${stop.held}`;
  const outcome = droplet.outcomes.get(stop.id);
  if (outcome?.outcome === 'dropped') return `its stop was not sent: ${dropWords(outcome.why)}`;
  const when = outcome === undefined ? 'decided' : 'sent';
  return `stop ${when} ${inWords(now - (outcome?.atMs ?? stop.decidedMs))} ago (${why})`;
}
