/** Crash loops in a story: many crashes of some slots, each with its start, as one line. Pure. */
import type { Fact } from '../facts.ts';
import type { Line } from '../sentences/line.ts';
import { decisionOf, type StoryState } from '../story-state.ts';
import { formatDuration, indicesText } from '../wording.ts';

/** What a line says about the loop of a slot. */
export interface LoopMark {
  index: number;
  version: string | undefined;
  crashed: boolean;
}

interface MarkedLine extends Line {
  atMs: number;
  loop?: LoopMark;
}

/** A loop is folded from this number of crashes of a slot on; the last one is always shown. */
const MIN_CRASHES = 4;

/** @returns undefined: the fact is no part of a crash loop */
export function loopMarkOf(fact: Fact, state: StoryState): LoopMark | undefined {
  const crashed = fact.kind === 'exit' && fact.exit === 'CRASHED';
  if (!crashed && !['start', 'sent', 'up'].includes(fact.kind)) return undefined;
  const { index, version } = fact.kind === 'sent' ? decisionOf(fact, state) : fact;
  return index === undefined ? undefined : { index, version, crashed };
}

/**
 * A line about anything else, such as a change of the app, ends the loops before it.
 *
 * @param lines oldest first, with marks. @returns them without
 */
export function foldCrashLoops<L extends MarkedLine>(lines: readonly L[]): Omit<L, 'loop'>[] {
  const folded: Omit<L, 'loop'>[] = [];
  for (let at = 0; at < lines.length; ) {
    const isLoop = (lines[at] as L).loop !== undefined;
    let end = at + 1;
    while (end < lines.length && (lines[end]?.loop !== undefined) === isLoop) end++;
    const run = lines.slice(at, end);
    folded.push(...(isLoop ? foldRun(run) : run));
    at = end;
  }
  return folded;
}

/** @param run lines with marks. @returns those of each loop up to its last crash as one line, and the others */
function foldRun<L extends MarkedLine>(run: readonly L[]): Omit<L, 'loop'>[] {
  const slots = new Map<string, L[]>();
  for (const line of run) {
    const key = `${line.loop?.index} ${line.loop?.version}`;
    slots.set(key, [...(slots.get(key) ?? []), line]);
  }
  const hidden = new Set<L>();
  const indices = new Set<number>();
  const crashed: L[] = [];
  for (const [, lines] of slots) {
    const crashes = lines.filter(({ loop }) => loop?.crashed);
    if (crashes.length < MIN_CRASHES) continue;
    crashed.push(...crashes.slice(0, -1));
    indices.add(lines[0]?.loop?.index ?? 0);
    const first = lines.indexOf(crashes[0] as L);
    for (const line of lines.slice(first, lines.indexOf(crashes.at(-1) as L))) hidden.add(line);
  }
  const without = ({ loop: _, ...line }: L) => line;
  if (hidden.size === 0) return run.map(without);
  crashed.sort((a, b) => a.atMs - b.atMs);
  const last = run.findLast((line) => hidden.has(line)) as L;
  const text = loopText([...indices], crashed);
  // What happened while the loops went on stays before them.
  return run.flatMap((line) => {
    if (line === last) return [{ ...without(line), tone: 'trouble', text }];
    return hidden.has(line) ? [] : [without(line)];
  });
}

/** `index 0 crashed 4 times within 180 s, and was started again each time` */
function loopText(indices: number[], crashed: readonly { atMs: number }[]): string {
  const within = formatDuration((crashed.at(-1)?.atMs ?? 0) - (crashed[0]?.atMs ?? 0));
  const isOne = indices.length === 1;
  const slots = `${isOne ? 'index' : 'indices'} ${indicesText(indices.sort((a, b) => a - b))}`;
  return `${slots} crashed ${crashed.length} times within ${within}, and ${isOne ? 'was' : 'were'} started again each time`;
}
