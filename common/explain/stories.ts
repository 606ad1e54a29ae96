import type { LogEntry } from '../model/decision-log.ts';
import { continueStory, newStory, type StoryOptions, type StoryState, type Tone } from './explain.ts';

/** A line of the log of the whole deployment. */
export interface LiveStoryLine {
  atMs: number;
  droplet: string;
  tone: Tone;
  text: string;
}

/** Droplets whose earlier story is remembered, so that later lines can go back to it; and decisions of one. */
const STORIES = 1_000;
const DECISIONS = 1_000;

/** Tells the stories of many droplets at once, as they go on. */
export class Stories {
  readonly #told = new Map<string, StoryState>();

  /** @param entries what happened since, by time */
  append(entries: readonly LogEntry[], options: StoryOptions): LiveStoryLine[] {
    const byDroplet = new Map<string, LogEntry[]>();
    for (const entry of entries) {
      const known = byDroplet.get(entry.droplet);
      if (known === undefined) byDroplet.set(entry.droplet, [entry]);
      else known.push(entry);
    }
    const lines: LiveStoryLine[] = [];
    for (const [droplet, facts] of byDroplet) {
      const told = this.#toldOf(droplet);
      lines.push(...continueStory(told, facts, options).map((line) => ({ ...line, droplet })));
    }
    return lines.sort((a, b) => a.atMs - b.atMs);
  }

  #toldOf(droplet: string): StoryState {
    const known = this.#told.get(droplet);
    const told = known === undefined || known.decisions.size > DECISIONS ? newStory() : known;
    // The latest used stand last; the first one is the one to forget.
    this.#told.delete(droplet);
    this.#told.set(droplet, told);
    const [first] = this.#told.keys();
    if (this.#told.size > STORIES && first !== undefined) this.#told.delete(first);
    return told;
  }
}
