/** The story of a droplet: its facts as lines of text, in the order in which they happened. Pure. */

import type { Fact } from './facts.ts';
import { consequenceText, isConsequence } from './sentences/decision-sentences.ts';
import { readDesired } from './sentences/desired.ts';
import type { Line, StoryOptions } from './sentences/line.ts';
import { renderFact } from './sentences/sentences.ts';
import { type LoopMark, loopMarkOf } from './shown/crash-loops.ts';
import { addToState, newStory, type StoryState } from './story-state.ts';

export interface StoryLine extends Line {
  atMs: number;
  /** The line may be a part of a crash loop. */
  loop?: LoopMark;
}

/** A decision within this time of an exit at its slot may be the exit's consequence, and is put on its line. */
const CONSEQUENCE_MS = 1000;

/**
 * @param facts oldest first
 * @param liveVersion the live version at the end of the story, if there is one
 */
export function storyOf(
  facts: readonly Fact[],
  liveVersion: string | undefined,
  options: StoryOptions,
): StoryLine[] {
  const changed = facts.find(({ kind }) => kind === 'desired');
  return continueStory(newStory(readDesired(changed?.was)?.version ?? liveVersion), facts, options);
}

/**
 * Continues a story.
 *
 * @param state of the story up to here; updated
 * @param facts what happened since, oldest first
 */
export function continueStory(state: StoryState, facts: readonly Fact[], options: StoryOptions): StoryLine[] {
  const done = new Set<Fact>();
  const lines: StoryLine[] = [];
  const isShown = (...about: Fact[]) => options.shows === undefined || about.some(options.shows);
  facts.forEach((fact, at) => {
    if (done.has(fact)) return;
    const group = groupAt(facts, at);
    if (group.length > 1) {
      const indices = group.map(({ index }) => index ?? 0).sort((a, b) => a - b);
      const one = renderFact({ ...fact, indices }, state, options);
      if (isShown(...group)) lines.push({ atMs: fact.atMs, ...one });
      for (const member of group) {
        done.add(member);
        addToState(member, state);
      }
      return;
    }
    const one = renderFact(fact, state, options);
    const mark = loopMarkOf(fact, state);
    const loop = mark === undefined ? {} : { loop: mark };
    const consequence = fact.kind === 'exit' ? consequenceOf(fact, facts, at) : undefined;
    addToState(fact, state);
    if (consequence === undefined) {
      if (isShown(fact)) lines.push({ atMs: fact.atMs, ...one, ...loop });
      return;
    }
    const text = `${one.text}: ${consequenceText(consequence, fact.atMs, options)}`;
    if (isShown(fact, consequence)) lines.push({ atMs: fact.atMs, ...one, text, ...loop });
    done.add(consequence);
    addToState(consequence, state);
  });
  return lines;
}

/** The fact and the facts right after it that are equal but for their index, within the same second: one line. */
function groupAt(facts: readonly Fact[], at: number): Fact[] {
  const key = groupKey(facts[at] as Fact);
  let end = at + 1;
  while (key !== undefined && end < facts.length && groupKey(facts[end] as Fact) === key) end++;
  return facts.slice(at, end);
}

/** Undefined: a fact that always has its own line. */
function groupKey(fact: Fact): string | undefined {
  const { kind, reason, index, version, dea, state, lastHeartbeatMs, hold, dryRun, atMs } = fact;
  if (kind !== 'start' && kind !== 'sent' && kind !== 'held') return undefined;
  if (index === undefined || (reason !== 'missing' && reason !== 'evacuated')) return undefined;
  const second = Math.floor(atMs / 1000);
  return JSON.stringify([kind, reason, version, dea, state, lastHeartbeatMs, hold, dryRun, second]);
}

/** The next fact at the exit's slot, if it is the decision that followed from the exit. */
function consequenceOf(exit: Fact, facts: readonly Fact[], at: number): Fact | undefined {
  for (let next = at + 1; next < facts.length; next++) {
    const fact = facts[next] as Fact;
    if (fact.atMs - exit.atMs > CONSEQUENCE_MS) return undefined;
    if (fact.index === exit.index && fact.version === exit.version) {
      return isConsequence(exit, fact) ? fact : undefined;
    }
  }
  return undefined;
}
