/** A droplet's story: what happened, told so that a person understands it. Pure. */
import { readDesired } from './desired.ts';
import type { Fact } from './facts.ts';
import {
  consequence,
  isConsequence,
  renderFact,
  type StoryOptions,
  type StoryState,
  type Tone,
} from './sentences.ts';

export type { StoryOptions, StoryState, Tone } from './sentences.ts';

export interface StoryLine {
  atMs: number;
  tone: Tone;
  text: string;
}

/** What was decided within this time of an exit was decided about it, and is told with it. */
const AT_ONCE_MS = 1000;

/** What a story that begins here goes back to: nothing yet. */
export function newStory(liveVersion?: string): StoryState {
  return { decisions: new Map(), firstCrashMs: new Map(), sentMs: new Map(), liveVersion };
}

/**
 * @param facts oldest first
 * @param liveVersion the live version at the end of it, if there is one
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
 * Goes on with a story.
 *
 * @param told what was told of this droplet before; it is added to
 * @param facts what happened since, oldest first
 */
export function continueStory(told: StoryState, facts: readonly Fact[], options: StoryOptions): StoryLine[] {
  const done = new Set<Fact>();
  const lines: StoryLine[] = [];
  facts.forEach((fact, at) => {
    if (done.has(fact)) return;
    const group = alike(facts, at);
    if (group.length > 1) {
      const indices = group.map(({ index }) => index ?? 0).sort((a, b) => a - b);
      lines.push({ atMs: fact.atMs, ...renderFact({ ...fact, indices }, told, options) });
      for (const one of group) {
        done.add(one);
        remember(one, told);
      }
      return;
    }
    const { text, tone } = renderFact(fact, told, options);
    const follows = fact.kind === 'exit' ? consequenceOf(fact, facts, at) : undefined;
    remember(fact, told);
    if (follows === undefined) {
      lines.push({ atMs: fact.atMs, tone, text });
      return;
    }
    lines.push({ atMs: fact.atMs, tone, text: `${text}: ${consequence(follows, fact.atMs, options)}` });
    done.add(follows);
    remember(follows, told);
  });
  return lines;
}

/** This and those right after it that say the same, in the same second, of other indices: a line for all. */
function alike(facts: readonly Fact[], at: number): Fact[] {
  const key = groupKey(facts[at] as Fact);
  let end = at + 1;
  while (key !== undefined && end < facts.length && groupKey(facts[end] as Fact) === key) end++;
  return facts.slice(at, end);
}

/** Undefined: it is told by itself. */
function groupKey(fact: Fact): string | undefined {
  const { kind, reason, index, version, dea, state, lastHeartbeatMs, hold, dryRun, atMs } = fact;
  if (kind !== 'start' && kind !== 'sent' && kind !== 'held') return undefined;
  if (index === undefined || (reason !== 'missing' && reason !== 'evacuated')) return undefined;
  return JSON.stringify([
    kind,
    reason,
    version,
    dea,
    state,
    lastHeartbeatMs,
    hold,
    dryRun,
    Math.floor(atMs / 1000),
  ]);
}

/** The next thing that happened at the exit's slot, if it is what was decided about the exit. */
function consequenceOf(exit: Fact, facts: readonly Fact[], at: number): Fact | undefined {
  for (let next = at + 1; next < facts.length; next++) {
    const fact = facts[next] as Fact;
    if (fact.atMs - exit.atMs > AT_ONCE_MS) return undefined;
    if (fact.index === exit.index && fact.version === exit.version) {
      return isConsequence(exit, fact) ? fact : undefined;
    }
  }
  return undefined;
}

/** What later sentences go back to. */
function remember(fact: Fact, told: StoryState): void {
  const slot = `${fact.index} ${fact.version}`;
  if (fact.id !== undefined && (fact.kind === 'start' || fact.kind === 'stop')) {
    told.decisions.set(fact.id, fact);
  }
  if (fact.kind === 'desired') told.liveVersion = readDesired(fact.is)?.version ?? told.liveVersion;
  if (fact.kind === 'updated') told.firstCrashMs.clear();
  if (fact.kind === 'exit' && fact.crashes === 1) told.firstCrashMs.set(slot, fact.atMs);
  if (fact.kind === 'sent' && fact.index !== undefined) told.sentMs.set(slot, fact.atMs);
  if (fact.kind === 'up' || fact.kind === 'exit') told.sentMs.delete(slot);
}
