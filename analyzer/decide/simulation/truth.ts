/** For tests: what truly is, whatever is heard of it. */
import type { Holds } from '../../../common/model/droplet.ts';

const SECOND = 1000;

/** An instance as it truly is. */
export interface TrueInstance {
  guid: string;
  index: number;
  version: string;
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'CRASHED';
  dea: string;
  sinceMs: number;
}

export interface TrueDea {
  name: string;
  alive: boolean;
  /** Since when it is alive. */
  aliveMs: number;
  /** Heartbeats are due at this offset of every ten seconds. */
  offsetMs: number;
}

export type Process = 'ingest' | 'sync' | 'analyzer' | 'nudger' | 'cron';

/** What the droplets of a fleet have in common. */
export interface Surroundings {
  deas: TrueDea[];
  holds: Holds;
  /** Processes of which no copy runs now; `cron`: analyzers look at droplets, but no tick comes. */
  away: Set<Process>;
  /** All DEAs are asked for a heartbeat, whoever began to listen after nobody did. */
  asked: boolean;
  /** DEAs that a cut network keeps from being heard: so many together that nobody may think them dead. */
  cut: Set<string>;
}

/** A DEA is heard from now, or no more. */
export function turn(dea: TrueDea, alive: boolean, nowMs: number): void {
  if (alive && !dea.alive) dea.aliveMs = nowMs;
  dea.alive = alive;
}

/** DEAs that heartbeat at different times. */
export function makeDeas(names: string[], random: () => number): TrueDea[] {
  return names.map((name) => ({
    name,
    alive: true,
    aliveMs: 0,
    offsetMs: Math.floor(random() * 10) * SECOND,
  }));
}

/** A small seeded generator (mulberry32): tests repeat. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
