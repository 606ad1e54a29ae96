/** What is wrong with a droplet, as plain data: the reporter, the command line and the browser share it. */
import type { Absent } from '../explain/step.ts';
import type { HoldName, StopReason } from '../model/reasons.ts';

/** Slots of a droplet for which the same is to be said. */
export interface SlotGroup extends Absent {
  /** `2`, `0 to 3 and 7` */
  indices: string;
  count: number;
  /** The instance last heard there. */
  lastInstance?: LastInstance;
}

export interface LastInstance {
  dea: string;
  lastHeartbeatMs: number;
  cause: 'silent' | 'unlisted' | 'ended';
  /** With `ended`. */
  exit?: string;
}

export interface TroubledDroplet {
  droplet: string;
  wanted: number;
  live: number;
  /** Wanted slots without a live instance. */
  missing: number;
  /** The largest of them. */
  groups: SlotGroup[];
  stops: { reason: StopReason; count: number; held?: HoldName }[];
}

export interface TroubledUpdate {
  /** Worst first. */
  droplets: TroubledDroplet[];
  /** All, also those that are not among these. */
  count: number;
}
