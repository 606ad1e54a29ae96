/** For tests: the true state of instances and DEAs, whether or not any heartbeat has reported it. */
import type { Holds } from '../../../common/model/droplet.ts';

const SECOND = 1000;

/** The true state of an instance. */
export interface TrueInstance {
  guid: string;
  index: number;
  version: string;
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'CRASHED';
  dea: string;
  sinceMs: number;
  /** Its DEA gave it a new version and a new guid while it ran. */
  isRenamed?: boolean;
}

export interface TrueDea {
  name: string;
  alive: boolean;
  /** Since when it is alive and reachable (epoch ms). */
  aliveMs: number;
  /** It sends a heartbeat at this offset in every ten seconds. */
  offsetMs: number;
}

export type Process = 'ingest' | 'sync' | 'analyzer' | 'nudger' | 'cron';

/** What the apps of a fleet share. */
export interface Environment {
  deas: TrueDea[];
  holds: Holds;
  /** Processes of which no copy runs now; `cron`: analyzers reconcile droplets, but no tick comes. */
  down: Set<Process>;
  /** All DEAs send a heartbeat in this step, because an ingestor has just started and requested them. */
  heartbeatsRequested: boolean;
  /** DEAs cut off together. They are enough for `mass_loss`, so none of them may be taken for dead. */
  cutOff: Set<string>;
}

/** Makes a DEA reachable or unreachable. */
export function setAlive(dea: TrueDea, alive: boolean, nowMs: number): void {
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

/** A small seeded random generator (mulberry32), so that tests are repeatable. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
