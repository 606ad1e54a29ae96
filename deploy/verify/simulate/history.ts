import { drawEvent } from '../chaos/events.ts';
import { Random } from '../chaos/random.ts';
import { drawFault } from './faults/faults.ts';

/** Something that happens in an episode. Its parameters are drawn from its own seed, so they stay when others are left out. */
export interface Item {
  /** Since the begin of the episode (ms). */
  atMs: number;
  what: 'event' | 'fault';
  name: string;
  seed: number;
}

/** Events and faults, after which the cloud must recover. */
export type Episode = readonly Item[];

const LASTS_MS: readonly [number, number] = [8_000, 30_000];
/** Faults in one episode. */
const FAULTS: readonly [number, number] = [6, 26];
/** The share of faults that begin together with the one before. */
const AT_ONCE = 0.35;
/** The time between two events. */
const EVENT_EVERY_MS: readonly [number, number] = [300, 2_500];
/** One episode in this many has no fault, so that the referee excuses nothing. */
const FAULTLESS_EVERY = 10;

/** Draws what happens in the `number`th episode of a seed. */
export function drawEpisode(seed: number, number: number): Episode {
  const random = new Random((seed * 7_919 + number * 104_729) >>> 0);
  const newSeed = () => random.below(2 ** 31);
  const lastsMs = random.between(...LASTS_MS);
  const [min, max] = FAULTS;
  const items: Item[] = [];
  const faults = number % FAULTLESS_EVERY === 0 ? 0 : min + random.below(max - min + 1);
  for (let n = 0, atMs = 0; n < faults; n++) {
    if (n === 0 || !random.chance(AT_ONCE)) atMs = Math.round(random.between(0, lastsMs));
    items.push({ atMs, what: 'fault', name: drawFault(random), seed: newSeed() });
  }
  for (let atMs = 0; atMs < lastsMs; atMs += Math.round(random.between(...EVENT_EVERY_MS)))
    items.push({ atMs, what: 'event', name: drawEvent(random), seed: newSeed() });
  return items.sort((a, b) => a.atMs - b.atMs);
}

/** One line, as a report shows it. */
export const describeItem = ({ atMs, what, name, seed }: Item): string =>
  `${(atMs / 1000).toFixed(3).padStart(7)} s  ${what} ${name} (${seed})`;
