import type { LogEntry } from '../model/decision-log.ts';
import { continueStory } from './explain.ts';
import type { StoryOptions, Tone } from './sentences/line.ts';
import { newStory, type StoryState } from './story-state.ts';

/** A line of the decision log of the whole deployment, as text. */
export interface LiveStoryLine {
  atMs: number;
  droplet: string;
  tone: Tone;
  text: string;
}

/** Droplets whose state is kept for their later lines. */
const MAX_DROPLETS = 1_000;
/** Decisions kept of one droplet. */
const MAX_DECISIONS = 1_000;

/** Renders the decision log of many droplets, entry by entry as it grows. */
export class Stories {
  readonly #states = new Map<string, StoryState>();

  /** @param entries the new ones, oldest first */
  append(entries: readonly LogEntry[], options: StoryOptions): LiveStoryLine[] {
    const byDroplet = new Map<string, LogEntry[]>();
    for (const entry of entries) {
      const known = byDroplet.get(entry.droplet);
      if (known === undefined) byDroplet.set(entry.droplet, [entry]);
      else known.push(entry);
    }
    const lines: LiveStoryLine[] = [];
    for (const [droplet, facts] of byDroplet) {
      const state = this.#stateOf(droplet);
      lines.push(...continueStory(state, facts, options).map((line) => ({ ...line, droplet })));
    }
    return lines.sort((a, b) => a.atMs - b.atMs);
  }

  #stateOf(droplet: string): StoryState {
    const known = this.#states.get(droplet);
    const state = known === undefined || known.decisions.size > MAX_DECISIONS ? newStory() : known;
    // The map is in order of use: the first entry is the least recently used.
    this.#states.delete(droplet);
    this.#states.set(droplet, state);
    const [first] = this.#states.keys();
    if (this.#states.size > MAX_DROPLETS && first !== undefined) this.#states.delete(first);
    return state;
  }
}
