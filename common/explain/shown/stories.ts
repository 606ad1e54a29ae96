import type { LogEntry } from '../../model/decision-log.ts';
import { continueStory } from '../explain.ts';
import type { StoryOptions } from '../sentences/line.ts';
import { newStory, type StoryState } from '../story-state.ts';
import { foldCrashLoops } from './crash-loops.ts';
import { groupHeld, type ShownRow } from './held-rows.ts';

/** A line of the decision log of the whole deployment, as text. */
export interface LiveStoryLine extends ShownRow {
  /** Empty: it is about the whole deployment, or about `droplets`. */
  droplet: string;
}

/** Droplets whose state is kept for their later lines. */
const MAX_DROPLETS = 1_000;
/** Decisions kept of one droplet. */
const MAX_DECISIONS = 1_000;

/** Renders the decision log of many droplets, entry by entry as it grows. */
export class Stories {
  readonly #states = new Map<string, StoryState>();

  /**
   * What one hold keeps back is one line.
   *
   * @param entries the new ones, oldest first
   * @param foldsLoops crash loops are one line each
   * @returns oldest first
   */
  append(entries: readonly LogEntry[], options: StoryOptions, foldsLoops = false): LiveStoryLine[] {
    const byDroplet = new Map<string, LogEntry[]>();
    for (const entry of entries) {
      const known = byDroplet.get(entry.droplet);
      if (known === undefined) byDroplet.set(entry.droplet, [entry]);
      else known.push(entry);
    }
    const lines = [...byDroplet].flatMap(([droplet, facts]) => {
      const story = continueStory(this.#stateOf(droplet), facts, options);
      const shown = foldsLoops ? foldCrashLoops(story) : story.map(({ loop: _, ...line }) => line);
      return shown.map((line) => ({ ...line, droplet }));
    });
    return groupHeld(lines.sort((a, b) => a.atMs - b.atMs));
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
