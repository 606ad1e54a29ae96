import type { LogEntry } from '../model/decision-log.ts';
import { newTold, type StoryOptions, type Told, type Tone, tellOn } from './explain.ts';

/** A line of the log of the whole deployment. */
export interface ToldLine {
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
  readonly #told = new Map<string, Told>();

  /** @param entries what happened since, by time */
  tell(entries: readonly LogEntry[], options: StoryOptions): ToldLine[] {
    const byDroplet = new Map<string, LogEntry[]>();
    for (const entry of entries) {
      const known = byDroplet.get(entry.droplet);
      if (known === undefined) byDroplet.set(entry.droplet, [entry]);
      else known.push(entry);
    }
    const lines: ToldLine[] = [];
    for (const [droplet, facts] of byDroplet) {
      const told = this.#toldOf(droplet);
      lines.push(...tellOn(told, facts, options).map((line) => ({ ...line, droplet })));
    }
    return lines.sort((a, b) => a.atMs - b.atMs);
  }

  #toldOf(droplet: string): Told {
    const known = this.#told.get(droplet);
    const told = known === undefined || known.decisions.size > DECISIONS ? newTold() : known;
    // The latest used stand last; the first one is the one to forget.
    this.#told.delete(droplet);
    this.#told.set(droplet, told);
    const [first] = this.#told.keys();
    if (this.#told.size > STORIES && first !== undefined) this.#told.delete(first);
    return told;
  }
}
