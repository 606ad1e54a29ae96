/** Sentences about decisions: what was decided, held, cancelled, and what became of it. */
import type { Fact } from '../facts.ts';
import { attemptsText } from '../present/step.ts';
import { decisionOf, type StoryState } from '../story-state.ts';
import { countText, dropText, formatDuration, STOP_TEXT } from '../wording.ts';
import { type Held, instanceText, type Line, line, type StoryOptions, slotText } from './line.ts';
import { operatorHoldText } from './operator-sentences.ts';

export function startLine(fact: Fact, slot: string, options: StoryOptions): Line {
  const { tone, text } = startReasonLine(fact, slot, options);
  return line(tone, fact.attempts === undefined ? text : `${text}; ${attemptsText(fact.attempts)}`);
}

function startReasonLine(fact: Fact, slot: string, options: StoryOptions): Line {
  switch (fact.reason) {
    case 'missing':
      return line(
        'trouble',
        `${slot} ${isOrAre(fact)} missing (${lastListedText(fact, options)}): start decided`,
      );
    case 'flapping': {
      const due = fact.dueMs === undefined ? '' : `: restart in ${formatDuration(fact.dueMs - fact.atMs)}`;
      const crashes = crashesText(fact);
      return line('trouble', `${slot} is flapping${crashes && `${crashes} in a row`}${due}`);
    }
    case 'evacuated':
      return line('action', `${slot}: start decided because ${evacuationText(fact)}`);
    default:
      return line('action', `${slot}: start decided because it crashed`);
  }
}

export function stopLine(fact: Fact, slot: string): Line {
  return line('action', `stop of ${instanceText(fact, slot)} decided: ${stopReasonText(fact)}`);
}

export function raiseLine(fact: Fact, slot: string): Line {
  return line('action', `${slot}: queued start raised to high priority because ${evacuationText(fact)}`);
}

export function cancelLine(fact: Fact, slot: string, state: StoryState): Line {
  const what =
    fact.what === 'stop' ? `stop of ${instanceText(decisionOf(fact, state), slot)}` : `${slot}: start`;
  return line('plain', `${what} cancelled before it was sent: ${dropText(fact.why)}`);
}

export function heldLine(fact: Fact, slot: string, options: StoryOptions): Line {
  const held = heldOf(fact, options);
  const hold = holdNamed(fact, options);
  if (fact.what === 'stop') {
    const instance = instanceText(fact, slot);
    const text = `${instance} should be stopped: ${stopReasonText(fact)}; not stopped: ${hold}`;
    return { ...line('trouble', text), ...held };
  }
  const problem =
    fact.reason === 'missing'
      ? `${isOrAre(fact)} missing (${lastListedText(fact, options)})`
      : `should be started (${fact.reason})`;
  return { ...line('trouble', `${slot} ${problem}; not started: ${hold}`), ...held };
}

function heldOf(fact: Fact, options: StoryOptions): { held?: Held } {
  if (fact.hold === undefined) return {};
  const who = whoText(fact, options);
  const { hold, what = 'start', indices } = fact;
  return { held: { hold, what, count: indices?.length ?? 1, ...(who !== '' && { who }) } };
}

/** `hold mass_loss`: what shows the story explains each hold once. Each hold of an operator has a reason of its own. */
function holdNamed(fact: Fact, options: StoryOptions): string {
  const who = whoText(fact, options);
  return `hold ${fact.hold ?? 'unknown'}${who && ` (${who})`}`;
}

function whoText(fact: Fact, options: StoryOptions): string {
  return fact.hold === 'operator' && fact.by !== undefined ? operatorHoldText(fact, options) : '';
}

/** `given up after 5 crashes: no start until the app is changed or 500 s have passed` */
export function giveUpText(fact: Fact, { flappingTimeoutMs }: StoryOptions): string {
  const timeout = formatDuration(flappingTimeoutMs);
  return `given up${crashesText(fact)}: no start until the app is changed or ${timeout} have passed`;
}

/** `unplaced: 3 starts in a row had no effect, so no DEA seems to have room; it is tried again, more rarely each time` */
export function unplacedText({ attempts = 0 }: Fact): string {
  return `unplaced: ${attemptsText(attempts)}, so no DEA seems to have room; it is tried again, more rarely each time`;
}

/** The outcome of a start or stop. */
export function outcomeLine(fact: Fact, state: StoryState): Line {
  const decided = decisionOf(fact, state);
  const isStop = decided.reason !== undefined && Object.hasOwn(STOP_TEXT, decided.reason);
  const slot = slotText(decided, state);
  const what = isStop ? `stop of ${instanceText(decided, slot)}` : `${slot}: start`;
  if (fact.kind === 'dropped') return line('plain', `${what} dropped: ${dropText(fact.why)}`);
  if (fact.kind === 'refused')
    return line('trouble', `${what} refused by the controller: ${fact.why ?? 'no reason given'}`);
  const reason = decided.reason === undefined ? '' : ` (${decided.reason})`;
  if (fact.dryRun) return line('plain', `${what} would have been sent${reason}: dry_run is on`);
  return line('action', `${what} sent${reason}`);
}

/** Whether this was decided because of the exit. */
export function isConsequence(exit: Fact, fact: Fact): boolean {
  if (exit.exit === 'STOPPED') return false;
  if (fact.kind === 'giveup') return exit.exit === 'CRASHED';
  if (fact.kind !== 'start' && fact.kind !== 'held') return false;
  return exit.exit === 'CRASHED'
    ? fact.reason === 'crashed' || fact.reason === 'flapping'
    : fact.reason === 'evacuated';
}

/** The decision that followed from an exit, as the end of the exit's sentence. */
export function consequenceText(fact: Fact, exitMs: number, options: StoryOptions): string {
  if (fact.kind === 'giveup') return giveUpText(fact, options);
  if (fact.kind === 'held') return `not started yet: ${holdNamed(fact, options)}`;
  if (fact.reason === 'flapping') {
    return `flapping, restart in ${formatDuration((fact.dueMs ?? exitMs) - exitMs)}`;
  }
  return 'start decided';
}

function isOrAre({ indices }: Fact): string {
  return indices !== undefined && indices.length > 1 ? 'are' : 'is';
}

function crashesText({ crashes }: Fact): string {
  return crashes === undefined ? '' : ` after ${countText(crashes, 'crash', 'crashes')}`;
}

/** `last listed by dea-7 at 15:14:25, 31 s before` */
function lastListedText(fact: Fact, { times }: StoryOptions): string {
  if (fact.lastHeartbeatMs === undefined) return 'no instance is known';
  const before = `${formatDuration(fact.atMs - fact.lastHeartbeatMs)} before`;
  const state = fact.state === 'RUNNING' ? '' : ` as ${fact.state}`;
  return `last listed${state} by ${fact.dea} at ${times.at(fact.lastHeartbeatMs)}, ${before}`;
}

function evacuationText({ dea, state }: Fact): string {
  const instance = dea === undefined ? 'its instance' : `its instance on ${dea} (${state})`;
  return `${instance} is being evacuated`;
}

function stopReasonText({ reason, wanted, liveVersion, version }: Fact): string {
  if (reason === undefined) return 'no reason is known';
  if (reason === 'extra_index' && wanted !== undefined) {
    return `the app wants only ${countText(wanted, 'instance')} (extra_index)`;
  }
  if (reason === 'wrong_version' && liveVersion !== undefined) {
    return `it is of version ${version}, and the live version, ${liveVersion}, runs (wrong_version)`;
  }
  return `${STOP_TEXT[reason as keyof typeof STOP_TEXT] ?? reason} (${reason})`;
}
