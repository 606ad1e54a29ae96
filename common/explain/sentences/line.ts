/** The parts that the sentences of a story share. */
import type { Fact } from '../facts.ts';
import type { StoryState } from '../story-state.ts';
import { indicesText, type Times } from '../wording.ts';

/** What a line is about, for its colour. */
export type Tone = 'trouble' | 'action' | 'good' | 'plain';

export interface Line {
  tone: Tone;
  text: string;
}

export interface StoryOptions {
  times: Times;
  flappingTimeoutMs: number;
  /** Only lines about such a fact; absent: all lines. The other facts still explain those lines. */
  shows?: (fact: Fact) => boolean;
  /** The page explains the holds once, so the lines only name them. */
  namesHolds?: boolean;
  /** The lines have marks, with which `foldCrashLoops` folds crash loops. */
  marksLoops?: boolean;
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
