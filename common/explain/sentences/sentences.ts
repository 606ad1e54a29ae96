/** One sentence for each thing that can happen to a droplet. */

import type { Fact } from '../facts.ts';
import { type StoryState, slotKey } from '../story-state.ts';
import { exitCauseText, formatDuration, ordinal } from '../wording.ts';
import {
  cancelLine,
  giveUpText,
  heldLine,
  outcomeLine,
  raiseLine,
  startLine,
  stopLine,
  unplacedText,
} from './decision-sentences.ts';
import { desiredSentence } from './desired.ts';
import { type Line, line, type StoryOptions, slotText } from './line.ts';
import { operatorLine } from './operator-sentences.ts';

export function renderFact(fact: Fact, state: StoryState, options: StoryOptions): Line {
  const { kind } = fact;
  const slot = slotText(fact, state);
  switch (kind) {
    case 'start':
      return startLine(fact, slot, options);
    case 'stop':
      return stopLine(fact, slot);
    case 'raise':
      return raiseLine(fact, slot);
    case 'cancel':
      return cancelLine(fact, slot, state);
    case 'held':
      return heldLine(fact, slot, options);
    case 'giveup':
      return line('trouble', `${slot} ${giveUpText(fact, options)}`);
    case 'unplaced':
      return line('trouble', `${slot} ${unplacedText(fact)}`);
    case 'sent':
    case 'refused':
    case 'dropped':
      return outcomeLine(fact, state);
    case 'exit':
      return exitLine(fact, slot, state);
    case 'up':
      return upLine(fact, slot, state);
    case 'updated':
      return line('plain', 'droplet.updated: the controller changed the app');
    case 'desired':
      return line('plain', desiredSentence(fact.was, fact.is));
    case 'gone':
      return line('trouble', `the controller no longer lists the app${lastPassText(fact, options)}`);
    case 'listed':
      return line('plain', 'the controller lists the app again');
    case 'removed':
      return line('plain', 'its record was removed because it is not desired and no instance runs');
    case 'operator':
      return operatorLine(fact, options);
    case 'first_seen':
      return line('plain', 'first seen');
    case 'first_listed':
      return firstListedLine(fact, slot, state);
    case 'unlisted':
      return line(
        'trouble',
        `${fact.dea} listed ${slot} (${fact.state}) for the last time; its next heartbeat did not list it`,
      );
    case 'silent':
      return line('trouble', `last heartbeat of ${fact.dea}; ${slot} ran there`);
    default:
      return unknownLine(kind, fact);
  }
}

function exitLine(fact: Fact, slot: string, state: StoryState): Line {
  const { dea } = fact;
  const tone = fact.exit === 'STOPPED' ? 'plain' : 'trouble';
  const on = dea === undefined ? '' : ` on ${dea}`;
  switch (fact.exit) {
    case 'CRASHED':
      return line(tone, `${slot} crashed${causeText(fact)}${on}${repetitionText(fact, state)}`);
    case 'STOPPED':
      return line(tone, `${slot} was stopped${on}`);
    case 'DEA_SHUTDOWN':
      return line(tone, `${slot} ended because ${dea ?? 'its DEA'} is shutting down`);
    case 'DEA_EVACUATION':
      return line(tone, `${slot} is being evacuated from ${dea ?? 'its DEA'}`);
    default:
      return line(tone, `${slot} ended${on}`);
  }
}

/** ` (exit status 137, out of memory)` */
function causeText({ exitStatus, exitDescription }: Fact): string {
  const cause = exitCauseText(exitStatus, exitDescription);
  return cause && ` (${cause})`;
}

/** ` (3rd time in 187 s)` */
function repetitionText(fact: Fact, state: StoryState): string {
  const { crashes, atMs } = fact;
  if (crashes === undefined || crashes < 2) return '';
  const firstMs = state.firstCrashMs.get(slotKey(fact));
  const since = firstMs === undefined ? 'in a row' : `in ${formatDuration(atMs - firstMs)}`;
  return ` (${ordinal(crashes)} time ${since})`;
}

function upLine(fact: Fact, slot: string, state: StoryState): Line {
  const sentMs = state.sentMs.get(slotKey(fact));
  const after =
    sentMs === undefined ? '' : `, ${formatDuration(fact.atMs - sentMs)} after its start was sent`;
  const now = fact.now === undefined || fact.now === fact.state ? '' : ` (${fact.now} now)`;
  const what = fact.again ? `is listed again: ${fact.state}` : fact.state;
  return line('good', `${slot} ${what} on ${fact.dea}${now}${fact.again ? '' : after}`);
}

function firstListedLine(fact: Fact, slot: string, state: StoryState): Line {
  if (fact.state === 'CRASHED') return line('plain', `${fact.dea} first listed ${slot} as CRASHED`);
  const [index, ...more] = fact.indices ?? [];
  const { now } = fact;
  // The result of a start that was sent: the analyzer has not logged it yet.
  if (index !== undefined && more.length === 0 && now !== undefined) {
    const up = { ...fact, index, state: now };
    if (state.sentMs.has(slotKey(up))) return upLine(up, slot, state);
  }
  return line('plain', `${slot} first listed by ${fact.dea}${now === undefined ? '' : ` (${now} now)`}`);
}

/** ` (last listed at 15:13:56)` */
function lastPassText({ listedMs, atMs }: Fact, { times }: StoryOptions): string {
  return listedMs === undefined || atMs - listedMs < 1000 ? '' : ` (last listed at ${times.at(listedMs)})`;
}

/** A kind that only a newer release writes. */
function unknownLine(kind: never, fact: Fact): Line {
  return line('plain', `${String(kind)}: ${JSON.stringify(fact)}`);
}
