/** The problems of a droplet, as plain data. The reporter and the dashboard share these types. */
import type { Absent } from '../../explain/present/step.ts';
import type { HoldName, StopReason } from '../../model/reasons.ts';

/** Slots of a droplet that have the same problem. */
export interface SlotGroup extends Absent {
  /** `2`, `0 to 3 and 7` */
  indices: string;
  count: number;
  /** The instance that was listed there last. */
  lastInstance?: LastInstance;
}

export interface LastInstance {
  dea: string;
  /** The last heartbeat that listed it, or its exit (epoch ms). */
  lastHeartbeatMs: number;
  /** Why it is not live: its DEA is silent, its DEA no longer lists it, or it exited. */
  cause: 'silent' | 'unlisted' | 'ended';
  /** Of slots with instances on several DEAs their number; `dea` is one of them, and the time the latest. */
  deas?: number;
  /** The reason of its exit; with `ended`. */
  exit?: string;
}

export interface TroubledDroplet {
  droplet: string;
  wanted: number;
  live: number;
  /** Wanted slots without a live instance. */
  missing: number;
  /** The largest groups of missing slots. */
  groups: SlotGroup[];
  /**
   * The missing slots by state, those that a hold keeps back, those of them that an operator pauses, and those in their grace period,
   * in which the controller starts them.
   */
  states: Record<Absent['state'] | 'HELD' | 'PAUSED' | 'EXPECTED', number>;
  stops: { reason: StopReason; count: number; held?: HoldName }[];
}

export interface TroubledUpdate {
  /** The worst, worst first. */
  droplets: TroubledDroplet[];
  /** Number of troubled droplets, including those left out here. */
  count: number;
}
