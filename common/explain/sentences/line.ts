/** The parts that the sentences of a story share. */
import type { HoldName } from '../../model/reasons.ts';
import type { Fact } from '../facts.ts';
import type { StoryState } from '../story-state.ts';
import { indicesText, type Times } from '../wording.ts';

/** What a line is about, for its colour. */
export type Tone = 'trouble' | 'action' | 'good' | 'plain';

export interface Line {
  tone: Tone;
  text: string;
  /** Absent: it is not about something that a hold keeps back. */
  held?: Held;
}

/** A start or stop that is not made. */
export interface Held {
  hold: HoldName;
  what: 'start' | 'stop';
  /** Slots or instances of the line. */
  count: number;
  /** Of the hold `operator`: who asked for it, until when, and why. */
  who?: string;
}

export interface StoryOptions {
  times: Times;
  flappingTimeoutMs: number;
  /** Only lines about such a fact; absent: all lines. The other facts still explain those lines. */
  shows?: (fact: Fact) => boolean;
}

export function line(tone: Tone, text: string): Line {
  return { tone, text };
}

/** `index 2`, `indices 0, 3 and 6`; with the version if that is not the live one. */
export function slotText({ index, indices, version }: Fact, { liveVersion }: StoryState): string {
  const isOther = version !== undefined && liveVersion !== undefined && version !== liveVersion;
  const other = isOther ? ` of version ${version}` : '';
  if (indices !== undefined && indices.length > 1) return `indices ${indicesText(indices)}${other}`;
  const one = indices?.[0] ?? index;
  return one === undefined ? 'an instance' : `index ${one}${other}`;
}

/** `index 2 on dea-7 (instance i)` */
export function instanceText({ instance, dea }: Fact, slot: string): string {
  const on = dea === undefined ? '' : ` on ${dea}`;
  return `${slot}${on}${instance === undefined ? '' : ` (instance ${instance})`}`;
}
