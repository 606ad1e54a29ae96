/** What earlier lines of a droplet's story leave for the later ones. */

import type { Fact } from './facts.ts';
import { readDesired } from './sentences/desired.ts';

/** Slots are `<index> <version>`. */
export interface StoryState {
  /** Starts and stops by their id. */
  decisions: Map<string, Fact>;
  /** When the first of a slot's crashes in a row was (epoch ms). */
  firstCrashMs: Map<string, number>;
  /** When the latest start of a slot was sent (epoch ms), until an instance or an exit of it is reported. */
  sentMs: Map<string, number>;
  /** The live version at this point of the story: facts of another version name it. */
  liveVersion: string | undefined;
}

/** The state of a story that begins here. */
export function newStory(liveVersion?: string): StoryState {
  return { decisions: new Map(), firstCrashMs: new Map(), sentMs: new Map(), liveVersion };
}

/** Adds a fact to the state. */
export function addToState(fact: Fact, state: StoryState): void {
  const slot = slotKey(fact);
  if (fact.id !== undefined && (fact.kind === 'start' || fact.kind === 'stop')) {
    state.decisions.set(fact.id, fact);
  }
  if (fact.kind === 'desired') state.liveVersion = readDesired(fact.is)?.version ?? state.liveVersion;
  if (fact.kind === 'updated') state.firstCrashMs.clear();
  if (fact.kind === 'exit' && fact.crashes === 1) state.firstCrashMs.set(slot, fact.atMs);
  if (fact.kind === 'sent' && fact.index !== undefined) state.sentMs.set(slot, fact.atMs);
  if (fact.kind === 'up' || fact.kind === 'exit') state.sentMs.delete(slot);
}

export function slotKey({ index, version }: Pick<Fact, 'index' | 'version'>): string {
  return `${index} ${version}`;
}

/** The decision that a fact is about, with the fact's own fields: the outcome of a stop does not repeat its index. */
export function decisionOf(fact: Fact, state: StoryState): Fact {
  const decided = state.decisions.get(fact.id ?? '');
  return decided === undefined ? fact : { ...decided, ...fact };
}
