/** One sentence for each thing that can happen to a droplet. */
import { desiredSentence } from './desired.ts';
import type { Fact } from './facts.ts';
import {
  countText,
  dropText,
  formatDuration,
  HOLD_TEXT,
  indicesText,
  ordinal,
  STOP_TEXT,
  type Times,
} from './wording.ts';

/** What a line is about, for its colour. */
export type Tone = 'trouble' | 'action' | 'good' | 'plain';

/** What was told before. Slots are `<index> <version>`. */
export interface StoryState {
  /** Starts and stops by their id. */
  decisions: Map<string, Fact>;
  /** When the first of a slot's crashes in a row was. */
  firstCrashMs: Map<string, number>;
  /** When the latest start of a slot was sent, until it showed. */
  sentMs: Map<string, number>;
  /** The live version at this point of the story: what is of another one says so. */
  liveVersion: string | undefined;
}

export interface StoryOptions {
  times: Times;
  flappingTimeoutMs: number;
}

/** What happened. */
export function renderFact(
  fact: Fact,
  told: StoryState,
  options: StoryOptions,
): { text: string; tone: Tone } {
  const { kind } = fact;
  const who = slotOf(fact, told);
  switch (kind) {
    case 'start':
      return start(fact, who, options);
    case 'stop':
      return line('action', `stop of ${instanceOf(fact, who)} decided: ${stopWhy(fact)}`);
    case 'raise':
      return line(
        'action',
        `${who}: its waiting start goes first now: ${place(fact, 'its instance')} is leaving`,
      );
    case 'cancel': {
      const of =
        fact.what === 'stop' ? `stop of ${instanceOf(decisionOf(fact, told), who)}` : `${who}: start`;
      return line('plain', `${of} taken back before it was sent: ${dropText(fact.why)}`);
    }
    case 'held':
      return held(fact, who, options);
    case 'giveup':
      return line('trouble', `${who} given up${giveup(fact, options)}`);
    case 'sent':
    case 'dropped':
      return left(fact, told);
    case 'exit':
      return exit(fact, who, told);
    case 'up':
      return up(fact, who, told);
    case 'updated':
      return line('plain', 'droplet.updated: the controller changed the app');
    case 'desired':
      return line('plain', desiredSentence(fact.was, fact.is));
    case 'gone':
      return line('trouble', `the controller does not list the app any more${lastListed(fact, options)}`);
    case 'listed':
      return line('plain', 'the controller lists the app again');
    case 'removed':
      return line('plain', 'its record was removed: not desired any more, and nothing of it runs');
    case 'seen':
      return line('plain', 'first heard of');
    case 'heard':
      return firstListed(fact, who, told);
    case 'unlisted':
      return line(
        'trouble',
        `${fact.dea} listed ${who} (${fact.state}) for the last time; its next list lacked it`,
      );
    case 'silent':
      return line('trouble', `${fact.dea} was heard for the last time; ${who} ran there`);
    default:
      return unknown(kind, fact);
  }
}

/** Whether this is what was decided because of the exit. */
export function isConsequence(exit: Fact, fact: Fact): boolean {
  if (exit.exit === 'STOPPED') return false;
  if (fact.kind === 'giveup') return exit.exit === 'CRASHED';
  if (fact.kind !== 'start' && fact.kind !== 'held') return false;
  return exit.exit === 'CRASHED'
    ? fact.reason === 'crashed' || fact.reason === 'flapping'
    : fact.reason === 'evacuated';
}

/** What was decided because of an exit, said after it. */
export function consequence(fact: Fact, exitMs: number, options: StoryOptions): string {
  if (fact.kind === 'giveup') return `given up${giveup(fact, options)}`;
  if (fact.kind === 'held') return `not started yet, hold ${fact.hold} (${holdText(fact)})`;
  if (fact.reason === 'flapping')
    return `flapping, restart in ${formatDuration((fact.dueMs ?? exitMs) - exitMs)}`;
  return 'start decided';
}

function line(tone: Tone, text: string) {
  return { tone, text };
}

/** `index 2`, `indices 0, 3 and 6`; with its version if that is not the live one. */
function slotOf({ index, indices, version }: Fact, { liveVersion }: StoryState): string {
  const isOther = version !== undefined && liveVersion !== undefined && version !== liveVersion;
  const other = isOther ? ` of version ${version}` : '';
  if (indices !== undefined && indices.length > 1) return `indices ${indicesText(indices)}${other}`;
  const one = indices?.[0] ?? index;
  return one === undefined ? 'an instance' : `index ${one}${other}`;
}

function are({ indices }: Fact): string {
  return indices !== undefined && indices.length > 1 ? 'are' : 'is';
}

function instanceOf({ instance, dea }: Fact, who: string): string {
  const on = dea === undefined ? '' : ` on ${dea}`;
  return `${who}${on}${instance === undefined ? '' : ` (instance ${instance})`}`;
}

/** The decision that this is about: what became of a stop does not repeat its index. */
function decisionOf(fact: Fact, told: StoryState): Fact {
  const decided = told.decisions.get(fact.id ?? '');
  return decided === undefined ? fact : { ...decided, ...fact };
}

function start(fact: Fact, who: string, options: StoryOptions) {
  if (fact.reason === 'missing')
    return line(
      'trouble',
      `${who} ${are(fact)} missing (${lastHeartbeatText(fact, options)}): start decided`,
    );
  if (fact.reason === 'flapping') {
    const crashes =
      fact.crashes === undefined ? '' : ` after ${countText(fact.crashes, 'crash', 'crashes')} in a row`;
    const due = fact.dueMs === undefined ? '' : `: restart in ${formatDuration(fact.dueMs - fact.atMs)}`;
    return line('trouble', `${who} is flapping${crashes}${due}`);
  }
  if (fact.reason === 'evacuated') {
    return line('action', `${who}: start decided, as ${place(fact, 'what ran there')} is leaving`);
  }
  return line('action', `${who}: start decided, as it crashed`);
}

function lastHeartbeatText(fact: Fact, { times }: StoryOptions): string {
  if (fact.lastHeartbeatMs === undefined) return 'no instance is known';
  const before = `${formatDuration(fact.atMs - fact.lastHeartbeatMs)} before`;
  const state = fact.state === 'RUNNING' ? '' : ` as ${fact.state}`;
  return `last heard${state} on ${fact.dea} at ${times.at(fact.lastHeartbeatMs)}, ${before}`;
}

function place({ dea, state }: Fact, otherwise: string): string {
  return dea === undefined ? otherwise : `${dea} (where it is ${state})`;
}

function stopWhy(fact: Fact): string {
  const { reason, wanted, liveVersion, version } = fact;
  if (reason === 'extra_index' && wanted !== undefined) {
    return `the app wants only ${countText(wanted, 'instance')} (extra_index)`;
  }
  if (reason === 'wrong_version' && liveVersion !== undefined) {
    return `it is of version ${version}, and the live one, ${liveVersion}, runs (wrong_version)`;
  }
  return reason === undefined
    ? 'no reason is known'
    : `${STOP_TEXT[reason as keyof typeof STOP_TEXT] ?? reason} (${reason})`;
}

function holdText({ hold }: Fact): string {
  return hold === undefined ? 'unknown' : (HOLD_TEXT[hold] ?? hold);
}

function held(fact: Fact, who: string, options: StoryOptions) {
  const why = `hold ${fact.hold} (${holdText(fact)})`;
  if (fact.what === 'stop')
    return line('trouble', `${instanceOf(fact, who)} is to be stopped, ${stopWhy(fact)}, but is not: ${why}`);
  const seen =
    fact.reason === 'missing'
      ? `${are(fact)} missing (${lastHeartbeatText(fact, options)})`
      : `${are(fact)} to be started (${fact.reason})`;
  return line('trouble', `${who} ${seen}, but ${are(fact)} not started: ${why}`);
}

function giveup(fact: Fact, { flappingTimeoutMs }: StoryOptions): string {
  const crashes = fact.crashes === undefined ? '' : ` after ${countText(fact.crashes, 'crash', 'crashes')}`;
  return `${crashes}: no start until the app is changed or ${formatDuration(flappingTimeoutMs)} have passed`;
}

/** What became of a decided start or stop when it was to leave. */
function left(fact: Fact, told: StoryState) {
  const decided = decisionOf(fact, told);
  const isStop = decided.reason !== undefined && Object.hasOwn(STOP_TEXT, decided.reason);
  const who = slotOf(decided, told);
  const what = isStop ? `stop of ${instanceOf(decided, who)}` : `${who}: start`;
  if (fact.kind === 'dropped') return line('plain', `${what} not sent after all: ${dropText(fact.why)}`);
  const reason = decided.reason === undefined ? '' : ` (${decided.reason})`;
  if (fact.dryRun) return line('plain', `${what} would have been sent${reason}: dry_run is on`);
  return line('action', `${what} sent${reason}`);
}

function exit(fact: Fact, who: string, told: StoryState) {
  const { dea } = fact;
  const tone = fact.exit === 'STOPPED' ? 'plain' : 'trouble';
  const on = dea === undefined ? '' : ` on ${dea}`;
  switch (fact.exit) {
    case 'CRASHED':
      return line(tone, `${who} crashed${on}${times(fact, told)}`);
    case 'STOPPED':
      return line(tone, `${who} was stopped${on}`);
    case 'DEA_SHUTDOWN':
      return line(tone, `${who} ended as ${dea ?? 'its DEA'} shuts down`);
    case 'DEA_EVACUATION':
      return line(tone, `${who} is being evacuated from ${dea ?? 'its DEA'}`);
    default:
      return line(tone, `${who} ended${on}`);
  }
}

/** ` (3rd time in 187 s)` */
function times({ crashes, index, version, atMs }: Fact, told: StoryState): string {
  if (crashes === undefined || crashes < 2) return '';
  const first = told.firstCrashMs.get(`${index} ${version}`);
  return ` (${ordinal(crashes)} time ${first === undefined ? 'in a row' : `in ${formatDuration(atMs - first)}`})`;
}

function up(fact: Fact, who: string, told: StoryState) {
  const sentMs = told.sentMs.get(`${fact.index} ${fact.version}`);
  const after =
    sentMs === undefined ? '' : `, ${formatDuration(fact.atMs - sentMs)} after its start was sent`;
  const now = fact.now === undefined || fact.now === fact.state ? '' : ` (${fact.now} now)`;
  const what = fact.again ? `is heard again: ${fact.state}` : fact.state;
  return line('good', `${who} ${what} on ${fact.dea}${now}${fact.again ? '' : after}`);
}

function firstListed(fact: Fact, who: string, told: StoryState) {
  if (fact.state === 'CRASHED') return line('plain', `${fact.dea} first listed ${who} as CRASHED`);
  // The analyzer has yet to look and to log it.
  const [index, ...more] = fact.indices ?? [];
  const { now: state } = fact;
  if (index !== undefined && more.length === 0 && state !== undefined) {
    if (told.sentMs.has(`${index} ${fact.version}`)) return up({ ...fact, index, state }, who, told);
  }
  return line(
    'plain',
    `${who} first heard on ${fact.dea}${fact.now === undefined ? '' : ` (${fact.now} now)`}`,
  );
}

function lastListed({ listedMs, atMs }: Fact, { times: { at } }: StoryOptions): string {
  return listedMs === undefined || atMs - listedMs < 1000 ? '' : ` (last listed at ${at(listedMs)})`;
}

/** Of a newer release. */
function unknown(kind: never, fact: Fact) {
  return line('plain', `${String(kind)}: ${JSON.stringify(fact)}`);
}
