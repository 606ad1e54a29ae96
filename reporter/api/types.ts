/**
 * What the dashboard is told, as JSON. Only types: server and browser share them.
 *
 * Times are epoch ms on Redis's clock. Texts of the server that name a time have `⟦<epoch ms>⟧` in its place, so
 * that each reader sees it in the own time zone.
 */

import type { Tone } from '../../common/explain/line.ts';
import type { Absent } from '../../common/explain/step.ts';
import type { HoldName } from '../../common/model/reasons.ts';
import type { TotalName } from '../../common/redis/summary.ts';
import type { TimelinePoint } from '../../common/redis/timeline.ts';
import type { TroubledUpdate } from '../../common/views/troubled-types.ts';

export type {
  LastInstance,
  SlotGroup,
  TroubledDroplet,
  TroubledUpdate,
} from '../../common/views/troubled-types.ts';

/** `leaving`: it said dea.shutdown; `late`: silent for two thirds of `droplet_lost`; `lost`: for longer than it. */
export type DeaState = 'alive' | 'leaving' | 'late' | 'lost';

/** A cell of the map: how many instances its latest heartbeat lists. */
export type DeaCell = [dea: string, state: DeaState, instances: number];

export interface HoldUpdate {
  hold: HoldName;
  sinceMs?: number;
  /** It ends by itself then. */
  untilMs?: number;
  /** Droplets that it keeps from being started or stopped, as the latest audits counted them. */
  droplets: number;
  releasable: boolean;
}

export interface FleetUpdate {
  totals: Record<TotalName, number>;
  holds: HoldUpdate[];
  deas: { alive: number; late: number; lost: number };
  queues: Record<'starts' | 'restarts' | 'stops', { waiting: number; delayed: number }>;
  sync: { succeededMs?: number; durationMs?: number; listed?: number };
}

/** What became of the instances of a DEA that is not heard. */
export interface SilentDea {
  dea: string;
  state: 'late' | 'lost';
  lastHeartbeatMs: number;
  /** That its latest heartbeat listed. */
  instances: number;
  /** Of these, slots that have no live instance elsewhere: by what is done about them. */
  missing: Record<Absent['step']['kind'], number>;
  /** So many of its droplets were not looked at, as they are too many. */
  unread: number;
}

export interface SilentUpdate {
  deas: SilentDea[];
  /** Beside those. */
  more: number;
}

export interface StoryUpdate {
  atMs: number;
  droplet: string;
  tone: Tone;
  text: string;
}

/** The events of `/api/live`, by name. */
export interface LiveEvents {
  /** First of all. */
  hello: { nowMs: number; dropletLostMs: number; dryRun: boolean };
  /** Once a second: what was told before still holds. */
  tick: { nowMs: number };
  /** Redis cannot be read; the next tick says that it can again. */
  unavailable: { problem: string };
  fleet: FleetUpdate;
  /** `all`: the whole map; else what has changed. */
  deas: { all?: true; cells: DeaCell[]; gone: string[] };
  silent: SilentUpdate;
  troubled: TroubledUpdate;
  /** Lines of the decision log, oldest first; `all`: the latest ones, else what follows. */
  story: { all?: true; lines: StoryUpdate[] };
  timeline: { all?: true; points: TimelinePoint[] };
}

/** An instance and where it is. */
export interface Place {
  instance: string;
  index: number;
  version: string;
  state: string;
  dea: string;
  firstListedMs: number;
  lastHeartbeatMs: number;
}

/** `/api/stories/<guid>` */
export interface DropletPage {
  droplet: string;
  nowMs: number;
  /** No record: only the decision log knows of it. */
  record?: {
    firstSeenMs: number;
    /** In words; absent: the controller has not said. */
    desired?: string;
    version?: string;
    updatedMs?: number;
    /** Since when the controller does not list it. */
    goneMs?: number;
    wanted: number;
    running: number;
    slots: { index: number; state: string; tone: Tone; text: string; absent?: Absent; places: Place[] }[];
    /** Wanted slots beyond those shown. */
    moreSlots: number;
    others: { place: Place; text: string; tone: Tone }[];
    holds: { hold: HoldName; text: string }[];
  };
  /** Oldest first. */
  story: { atMs: number; tone: Tone; text: string }[];
  /** The story lacks its beginning. */
  cut: boolean;
}

/** `/api/deas/<guid>` */
export interface DeaPage {
  dea: string;
  nowMs: number;
  state: DeaState;
  lastHeartbeatMs: number;
  shutdownMs?: number;
  /** That its latest heartbeat listed. */
  instances: number;
  places: DeaPlace[];
  /** Droplets that were not read, as they are too many. */
  unread: number;
}

export interface DeaPlace extends Place {
  droplet: string;
  /** What it counts as. */
  counts: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'NONE';
  /** It does not run here: where its slot is live now. */
  elsewhere?: string;
  /** It does not run here, nor elsewhere. */
  absent?: Absent;
}
