/**
 * The JSON data of the dashboard. Only types: server and browser share them.
 *
 * Times are epoch ms on Redis's clock. In texts of the server a time is `\u0001<epoch ms>\u0001`; the browser shows it in its own
 * time zone.
 */

import type { DashboardLinks } from '../../common/config/settings.ts';
import type { Absent } from '../../common/explain/present/step.ts';
import type { Tone } from '../../common/explain/sentences/line.ts';
import type { DeaCounts, DeaState } from '../../common/model/dea-states.ts';
import type { OperatorHold } from '../../common/model/operator-hold.ts';
import type { HoldName } from '../../common/model/reasons.ts';
import type { TotalName } from '../../common/redis/fleet/summary.ts';
import type { TimelinePoint } from '../../common/redis/fleet/timeline.ts';
import type { UnknownActual } from '../../common/views/actual-state.ts';
import type { TroubledUpdate } from '../../common/views/apps/troubled-types.ts';
import type { ProcessesView } from '../../common/views/processes.ts';
import type { Slots } from '../../common/views/status.ts';

export type { DeaState } from '../../common/model/dea-states.ts';
export type {
  LastInstance,
  SlotGroup,
  TroubledDroplet,
  TroubledUpdate,
} from '../../common/views/apps/troubled-types.ts';

/** A cell of the map; `instances`: listed by the latest heartbeat. */
export type DeaCell = [dea: string, state: DeaState, instances: number];

export interface HoldUpdate {
  hold: HoldName;
  sinceMs?: number;
  /** It ends at this time at the latest. */
  untilMs?: number;
  /** Droplets with a start or stop that it prevents, as counted by the latest audits. */
  droplets: number;
  /** With `mass_loss`: the DEAs whose instances are not started elsewhere. */
  silentDeas?: number;
  /** With `actual_not_fresh`: the ingestor that stood still. */
  takenOver?: { ingestor: string; host: string; pid: number };
  releasable: boolean;
  /** With `operator`: what operators pause, the oldest first. */
  operatorHolds?: readonly OperatorHold[];
}

export interface FleetUpdate {
  /** Absent: it is known what runs. */
  unknown?: UnknownActual;
  slots: Slots;
  totals: Record<TotalName, number>;
  /** Those that are on. */
  holds: HoldUpdate[];
  deas: DeaCounts;
  processes: ProcessesView;
  /** The apps that need attention. */
  troubled: number;
  queues: Record<'starts' | 'restarts' | 'stops', { waiting: number; delayed: number }>;
  sync: { succeededMs?: number; durationMs?: number; listed?: number };
}

/** A silent DEA and what has become of its instances. */
export interface SilentDea {
  dea: string;
  state: 'late' | 'lost';
  lastHeartbeatMs: number;
  /** Listed by its latest heartbeat. */
  instances: number;
  /** Its slots without a live instance elsewhere, counted by their next step. */
  missing: Record<Absent['step']['kind'] | 'no_nudger', number>;
  /** Droplets that were not read because there are too many. */
  unread: number;
}

export interface SilentUpdate {
  deas: SilentDea[];
  /** Silent DEAs that are not in the list. */
  more: number;
}

export interface StoryLine {
  atMs: number;
  tone: Tone;
  text: string;
  /** The hold that the line names; its explanation is shown once. */
  hold?: HoldName;
}

export interface StoryUpdate extends StoryLine {
  /** Empty: it is about the whole deployment, or about `droplets`. */
  droplet: string;
  /** What one hold keeps back of several droplets is one line. */
  droplets?: string[];
}

/** The events of `/api/live`, by name. */
export interface LiveEvents {
  /** The first event. `mayAct`: the viewer's login is not the read-only one; `links`: templates with `{guid}`. */
  hello: { nowMs: number; dropletLostMs: number; dryRun: boolean; mayAct: boolean; links?: DashboardLinks };
  /** Once a second: everything sent before is still valid. */
  tick: { nowMs: number };
  /** Redis cannot be read; valid until the next tick. */
  unavailable: { problem: string };
  fleet: FleetUpdate;
  /** `all`: the whole map; else only changes. */
  deas: { all?: true; cells: DeaCell[]; gone: string[] };
  silent: SilentUpdate;
  troubled: TroubledUpdate;
  /** Lines of the decision log, oldest first, since the stream goes on at its end; `all`: the latest ones; else only new ones. */
  story: { all?: true; lines: StoryUpdate[] };
  timeline: { all?: true; points: TimelinePoint[] };
  /** The long steps of the last day; without `all` those that changed. */
  day: { all?: true; points: TimelinePoint[] };
}

/** `/api/decisions` */
export interface DecisionPage {
  nowMs: number;
  /** Newest first. */
  lines: StoryUpdate[];
  /** Entries of the log that were read for them. */
  read: number;
  /** Older entries were not read: those written before this time (epoch ms), with which the next page begins. */
  readFromMs?: number;
  cursor?: number;
}

/** An instance and its DEA. */
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
  /** Absent: only the decision log has entries of it. */
  record?: {
    firstSeenMs: number;
    /** As text; absent: not known. */
    desired?: string;
    version?: string;
    updatedMs?: number;
    /** Since when the controller no longer lists it. */
    goneMs?: number;
    wanted: number;
    running: number;
    slots: { index: number; state: string; tone: Tone; text: string; absent?: Absent; places: Place[] }[];
    /** Number of wanted slots that are left out. */
    moreSlots: number;
    others: { place: Place; text: string; tone: Tone }[];
    holds: { hold: HoldName; text: string }[];
  };
  /** Newest first. */
  story: StoryLine[];
  /** The beginning of the story is left out. */
  cut: boolean;
}

/** `/api/deas/<guid>` */
export interface DeaPage {
  dea: string;
  nowMs: number;
  state: DeaState;
  lastHeartbeatMs: number;
  shutdownMs?: number;
  /** Listed by its latest heartbeat. */
  instances: number;
  places: DeaPlace[];
  /** Droplets that were not read because there are too many. */
  unread: number;
}

export interface DeaPlace extends Place {
  droplet: string;
  effective: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'NONE';
  /** The DEA where its slot is live now, if it does not run here. */
  elsewhere?: string;
  /** The next step for its slot, if that is live nowhere. */
  absent?: Absent;
}
