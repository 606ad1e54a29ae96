/** Crash loops in a story: many crashes of one slot, each with its start, as one line. Pure. */
import type { Fact } from './facts.ts';
import { decisionOf, type StoryState } from './story-state.ts';
import { formatDuration } from './wording.ts';

/** What a line says about the loop of a slot; a line about anything else ends the loop. */
export interface LoopMark {
  index: number;
  version: string | undefined;
  crashed: boolean;
}

interface MarkedLine {
  atMs: number;
  tone: 'trouble' | 'action' | 'good' | 'plain';
  text: string;
  loop?: LoopMark;
}

/** A loop is folded from this number of crashes on; the last one is always shown. */
const MIN_CRASHES = 4;

/** @returns undefined: the fact is no part of a crash loop */
export function loopMarkOf(fact: Fact, state: StoryState): LoopMark | undefined {
  const crashed = fact.kind === 'exit' && fact.exit === 'CRASHED';
  if (!crashed && !['start', 'sent', 'up'].includes(fact.kind)) return undefined;
  const { index, version } = fact.kind === 'sent' ? decisionOf(fact, state) : fact;
  return index === undefined ? undefined : { index, version, crashed };
}

/** @param lines oldest first, with marks. @returns them without */
export function foldCrashLoops(lines: readonly MarkedLine[]): Omit<MarkedLine, 'loop'>[] {
  const folded: Omit<MarkedLine, 'loop'>[] = [];
  for (let at = 0; at < lines.length; ) {
    const { loop, ...line } = lines[at] as MarkedLine;
    const end = loop?.crashed === true ? endOf(lines, at, loop) : at + 1;
    const run = lines.slice(at, end);
    const crashes = run.filter((one) => one.loop?.crashed);
    const last = crashes.at(-1);
    if (crashes.length < MIN_CRASHES || last === undefined || loop === undefined) {
      folded.push(line);
      at++;
      continue;
    }
    const lastAt = at + run.indexOf(last);
    const before = lines[lastAt - 1] as MarkedLine;
    const many = crashes.length - 1;
    const within = formatDuration((crashes[many - 1] as MarkedLine).atMs - line.atMs);
    const text = `index ${loop.index} crashed ${many} times within ${within}, and was started again each time`;
    folded.push({ atMs: before.atMs, tone: 'trouble', text });
    at = lastAt;
  }
  return folded;
}

function endOf(lines: readonly MarkedLine[], from: number, { index, version }: LoopMark): number {
  let end = from + 1;
  const isSame = (mark: LoopMark | undefined) => mark?.index === index && mark.version === version;
  while (end < lines.length && isSame(lines[end]?.loop)) end++;
  return end;
}
