/** One sentence for each thing that can happen to a droplet. */
import { desiredSentence } from './desired.ts';
import type { Fact } from './facts.ts';
import { count, dropText, HOLD_TEXT, inWords, listOf, ordinal, STOP_TEXT, type Times } from './wording.ts';

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
      return say('action', `stop of ${instanceOf(fact, who)} decided: ${stopWhy(fact)}`);
    case 'raise':
      return say(
        'action',
        `${who}: its waiting start goes first now: ${place(fact, 'its instance')} is leaving`,
      );
    case 'cancel': {
      const of =
        fact.what === 'stop' ? `stop of ${instanceOf(decisionOf(fact, told), who)}` : `${who}: start`;
      return say('plain', `${of} taken back before it was sent: ${dropText(fact.why)}`);
    }
    case 'held':
      return held(fact, who, options);
    case 'giveup':
      return say('trouble', `${who} given up${giveup(fact, options)}`);
    case 'sent':
    case 'dropped':
      return left(fact, told);
    case 'exit':
      return exit(fact, who, told);
    case 'up':
      return up(fact, who, told);
    case 'updated':
      return say('plain', 'droplet.updated: the controller changed the app');
    case 'desired':
      return say('plain', desiredSentence(fact.was, fact.is));
    case 'gone':
      return say('trouble', `the controller does not list the app any more${lastListed(fact, options)}`);
    case 'listed':
      return say('plain', 'the controller lists the app again');
    case 'removed':
      return say('plain', 'its record was removed: not desired any more, and nothing of it runs');
    case 'seen':
      return say('plain', 'first heard of');
    case 'heard':
      return heard(fact, who, told);
    case 'unlisted':
      return say(
        'trouble',
        `${fact.dea} listed ${who} (${fact.state}) for the last time; its next list lacked it`,
      );
    case 'silent':
      return say('trouble', `${fact.dea} was heard for the last time; ${who} ran there`);
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
  if (fact.kind === 'held') return `not started yet, hold ${fact.hold} (${holdWords(fact)})`;
  if (fact.reason === 'flapping') return `flapping, restart in ${inWords((fact.dueMs ?? exitMs) - exitMs)}`;
  return 'start decided';
}

function say(tone: Tone, text: string) {
  return { tone, text };
}

/** `index 2`, `indices 0, 3 and 6`; with its version if that is not the live one. */
function slotOf({ index, indices, version }: Fact, { liveVersion }: StoryState): string {
  const isOther = version !== undefined && liveVersion !== undefined && version !== liveVersion;
  const other = isOther ? ` of version ${version}` : '';
  if (indices !== undefined && indices.length > 1) return `indices ${listOf(indices)}${other}`;
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
    return say('trouble', `${who} ${are(fact)} missing (${lastHeard(fact, options)}): start decided`);
  if (fact.reason === 'flapping') {
    const crashes =
      fact.crashes === undefined ? '' : ` after ${count(fact.crashes, 'crash', 'crashes')} in a row`;
    const due = fact.dueMs === undefined ? '' : `: restart in ${inWords(fact.dueMs - fact.atMs)}`;
    return say('trouble', `${who} is flapping${crashes}${due}`);
  }
  if (fact.reason === 'evacuated') {
    return say('action', `${who}: start decided, as ${place(fact, 'what ran there')} is leaving`);
  }
  return say('action', `${who}: start decided, as it crashed`);
}

function lastHeard(fact: Fact, { times }: StoryOptions): string {
  if (fact.lastHeartbeatMs === undefined) return 'no instance is known';
  const before = `${inWords(fact.atMs - fact.lastHeartbeatMs)} before`;
  const state = fact.state === 'RUNNING' ? '' : ` as ${fact.state}`;
  return `last heard${state} on ${fact.dea} at ${times.at(fact.lastHeartbeatMs)}, ${before}`;
}

function place({ dea, state }: Fact, otherwise: string): string {
  return dea === undefined ? otherwise : `${dea} (where it is ${state})`;
}

function stopWhy(fact: Fact): string {
  const { reason, wanted, liveVersion, version } = fact;
  if (reason === 'extra_index' && wanted !== undefined) {
    return `the app wants only ${count(wanted, 'instance')} (extra_index)`;
  }
  if (reason === 'wrong_version' && liveVersion !== undefined) {
    return `it is of version ${version}, and the live one, ${liveVersion}, runs (wrong_version)`;
  }
  return reason === undefined
    ? 'no reason is known'
    : `${STOP_TEXT[reason as keyof typeof STOP_TEXT] ?? reason} (${reason})`;
}

function holdWords({ hold }: Fact): string {
  return hold === undefined ? 'unknown' : (HOLD_TEXT[hold] ?? hold);
}

function held(fact: Fact, who: string, options: StoryOptions) {
  const why = `hold ${fact.hold} (${holdWords(fact)})`;
  if (fact.what === 'stop')
    return say('trouble', `${instanceOf(fact, who)} is to be stopped, ${stopWhy(fact)}, but is not: ${why}`);
  const seen =
    fact.reason === 'missing'
      ? `${are(fact)} missing (${lastHeard(fact, options)})`
      : `${are(fact)} to be started (${fact.reason})`;
  return say('trouble', `${who} ${seen}, but ${are(fact)} not started: ${why}`);
}

function giveup(fact: Fact, { flappingTimeoutMs }: StoryOptions): string {
  const crashes = fact.crashes === undefined ? '' : ` after ${count(fact.crashes, 'crash', 'crashes')}`;
  return `${crashes}: no start until the app is changed or ${inWords(flappingTimeoutMs)} have passed`;
}

/** What became of a decided start or stop when it was to leave. */
function left(fact: Fact, told: StoryState) {
  const decided = decisionOf(fact, told);
  const isStop = decided.reason !== undefined && Object.hasOwn(STOP_TEXT, decided.reason);
  const who = slotOf(decided, told);
  const what = isStop ? `stop of ${instanceOf(decided, who)}` : `${who}: start`;
  if (fact.kind === 'dropped') return say('plain', `${what} not sent after all: ${dropText(fact.why)}`);
  const reason = decided.reason === undefined ? '' : ` (${decided.reason})`;
  if (fact.dryRun) return say('plain', `${what} would have been sent${reason}: dry_run is on`);
  return say('action', `${what} sent${reason}`);
}

function exit(fact: Fact, who: string, told: StoryState) {
  const { dea } = fact;
  const tone = fact.exit === 'STOPPED' ? 'plain' : 'trouble';
  const on = dea === undefined ? '' : ` on ${dea}`;
  switch (fact.exit) {
    case 'CRASHED':
      return say(tone, `${who} crashed${on}${times(fact, told)}`);
    case 'STOPPED':
      return say(tone, `${who} was stopped${on}`);
    case 'DEA_SHUTDOWN':
      return say(tone, `${who} ended as ${dea ?? 'its DEA'} shuts down`);
    case 'DEA_EVACUATION':
      return say(tone, `${who} is being evacuated from ${dea ?? 'its DEA'}`);
    default:
      return say(tone, `${who} ended${on}`);
  }
}

/** ` (3rd time in 187 s)` */
function times({ crashes, index, version, atMs }: Fact, told: StoryState): string {
  if (crashes === undefined || crashes < 2) return '';
  const first = told.firstCrashMs.get(`${index} ${version}`);
  return ` (${ordinal(crashes)} time ${first === undefined ? 'in a row' : `in ${inWords(atMs - first)}`})`;
}

function up(fact: Fact, who: string, told: StoryState) {
  const sentMs = told.sentMs.get(`${fact.index} ${fact.version}`);
  const after = sentMs === undefined ? '' : `, ${inWords(fact.atMs - sentMs)} after its start was sent`;
  const now = fact.now === undefined || fact.now === fact.state ? '' : ` (${fact.now} now)`;
  const what = fact.again ? `is heard again: ${fact.state}` : fact.state;
  return say('good', `${who} ${what} on ${fact.dea}${now}${fact.again ? '' : after}`);
}

function heard(fact: Fact, who: string, told: StoryState) {
  if (fact.state === 'CRASHED') return say('plain', `${fact.dea} first listed ${who} as CRASHED`);
  // The analyzer has yet to look and to log it.
  const [index, ...more] = fact.indices ?? [];
  const { now: state } = fact;
  if (index !== undefined && more.length === 0 && state !== undefined) {
    if (told.sentMs.has(`${index} ${fact.version}`)) return up({ ...fact, index, state }, who, told);
  }
  return say(
    'plain',
    `${who} first heard on ${fact.dea}${fact.now === undefined ? '' : ` (${fact.now} now)`}`,
  );
}

function lastListed({ listedMs, atMs }: Fact, { times: { at } }: StoryOptions): string {
  return listedMs === undefined || atMs - listedMs < 1000 ? '' : ` (last listed at ${at(listedMs)})`;
}

/** Of a newer release. */
function unknown(kind: never, fact: Fact) {
  return say('plain', `${String(kind)}: ${JSON.stringify(fact)}`);
}
