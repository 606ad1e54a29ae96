/**
 * All that is known of one droplet.
 *
 * Units are in the names. `...Ms`: epoch milliseconds by Redis's clock. `...S`: epoch seconds as a controller or a DEA
 * wrote them; these are never compared with a time of another host.
 */
import type { AppState, InstanceState, PackageState } from './instance-states.ts';
import type { OperatorHold } from './operator-hold.ts';
import type {
  EventStartReason,
  ExitReason,
  HoldName,
  OUTCOMES,
  Priority,
  StartReason,
  StopReason,
} from './reasons.ts';

/** What the controller wants of a droplet (bulk API). Written by `sync` only. */
export interface Desired {
  state: AppState;
  packageState: PackageState;
  instances: number;
  /** The live version. */
  version: string;
  memoryMb: number;
  /** `updated_at`; if the controller leaves it out, when a pass brought the last change of the entry. */
  updatedAtS: number;
}

/** A desired state as a bulk page lists it: controllers from 2016 leave out `updated_at`. */
export type ListedApp = Omit<Desired, 'updatedAtS'> & { updatedAtS: number | undefined };

/** One running copy of a droplet as a heartbeat last listed it. Written by `ingest` only. */
export interface Instance {
  guid: string;
  index: number;
  version: string;
  state: InstanceState;
  stateTimestampS: number;
  dea: string;
  firstListedMs: number;
  /**
   * Time of the last heartbeat that listed the instance. Absent while the DEA's latest list has it: then the DEA's own
   * last heartbeat is that time.
   */
  lastListedMs?: number;
  /**
   * When another DEA first listed the instance, with an index or version by which it is not surplus. Absent once its own DEA has listed it
   * anew.
   */
  contestedMs?: number;
}

/** Trace of the heartbeat that last changed the record. Written by `ingest`, only with tracing. No decision depends on it. */
export interface HeartbeatTrace {
  atMs: number;
  /** W3C `traceparent`. */
  traceparent: string;
}

/** A `droplet.exited`. Written by `ingest` only. */
export interface Exit {
  /** Guid of the instance that ended. */
  instance: string;
  index: number;
  version: string;
  reason: ExitReason;
  /** When it was received. */
  atMs: number;
  /** Number of this exit among the droplet's exits, from 1. Larger than `Droplet.handledExits`: not handled yet. */
  n: number;
  /** Only with CRASHED, and only shown: it is a time of the DEA's clock. */
  crashTimestampS?: number;
  /** `exit_status`, only shown. */
  status?: number;
  /** `exit_description`, only shown. */
  description?: string;
}

/** A decided start that waits in a queue, or was sent and has had no effect yet. */
export interface PendingStart {
  /** Decision id, job id and `Nats-Msg-Id`. */
  id: string;
  reason: StartReason;
  priority: Priority;
  decidedMs: number;
  /** Only with `flapping`: end of the delay. */
  dueMs?: number;
}

/** What the analyzer remembers of one slot. Written by `analyzer` only. */
export interface Slot {
  index: number;
  /** The slot is ignored when this is not the live version. */
  version: string;
  /** Crashes in a row, each at most `flapping_timeout` after the one before. */
  crashes: number;
  /** When the latest counted crash was received. A slot is given up until `flapping_timeout` after this. */
  lastCrashMs?: number;
  flapping: boolean;
  start?: PendingStart;
  /** Starts in a row that were sent and after which no instance was reported at the slot. Absent: none. */
  attempts?: number;
  /** With `attempts`: no start before this time, unless an exit asks for one. */
  retryMs?: number;
  /** The hold that covers the slot's start. Kept so that a held start is logged once, not by every reconcile. */
  held?: HoldName;
  /** The event that the start answers which is held or waits. The event is received only once, so it is kept here. */
  heldFor?: EventStartReason;
}

/** A decided stop. Written by `analyzer` only. */
export interface PendingStop {
  instance: string;
  id: string;
  reason: StopReason;
  decidedMs: number;
  /** Present if the stop is only held, not decided. Kept so that it is logged once, not by every reconcile. */
  held?: HoldName;
}

/** What became of a decided start or stop. Written by `nudger`, removed by `analyzer` together with the decision. */
export interface Outcome {
  /** Decision id. */
  id: string;
  outcome: (typeof OUTCOMES)[number];
  atMs: number;
  /** Only with `dropped`. */
  why?: string;
  /** Random. Identifies the attempt that stored the outcome, so that a retry recognizes its own write. */
  by?: string;
}

export interface Droplet {
  id: string;
  /** Increases with every change of the record. A decision is stored only if `rev` is what it was when it was read. */
  rev: number;
  /** How many of the changes that `rev` counts only stored the outcome of a delivery. Absent: none that still matters. */
  settlements?: number;
  /** When the droplet first appeared in a heartbeat or in the desired state. */
  firstSeenMs: number;
  /** The last known desired state. It stays when the droplet leaves the desired state, see `goneMs`. */
  desired?: Desired;
  /**
   * When the droplet was last listed; present while it is not. Set by the first complete pass that does not list it, so
   * its presence proves one such pass.
   */
  goneMs?: number;
  /**
   * When the analyzer found that the record has no desired state although a complete pass has begun since it was first seen. Present
   * while that is so.
   */
  undesiredMs?: number;
  /** When the latest `droplet.updated` was received. */
  updatedMs?: number;
  /** When a pass brought the version of `desired`, if another was known before, or instances long before. */
  versionSinceMs?: number;
  /** Redis had lost the record: when it was begun anew. */
  rebuiltMs?: number;
  /** Start of the latest pass that wrote the droplet's entry. Later than `updatedMs`: `update_required` is over. */
  listedMs?: number;
  instances: Instance[];
  heartbeatTrace?: HeartbeatTrace;
  exits: Exit[];
  /** Number of exits that the analyzer has handled (see `Exit.n`). */
  handledExits: number;
  /** `updatedMs` of the latest update that the analyzer has handled. */
  handledUpdateMs?: number;
  /** By index. */
  slots: ReadonlyMap<number, Slot>;
  /** By instance guid. */
  stops: ReadonlyMap<string, PendingStop>;
  /** By decision id. */
  outcomes: ReadonlyMap<string, Outcome>;
  /** Slots that an operator asked to retry, by index: when (ms). Removed by the analyzer once handled. */
  retries?: ReadonlyMap<number, number>;
}

export interface DeaLiveness {
  lastHeartbeatMs: number;
  /** Redis had lost its times: it counts as silent since `lastHeartbeatMs`, but at most one heartbeat was received since the loss. */
  isRestored?: true;
  /** The heartbeat before the last one; absent after the first. */
  previousHeartbeatMs?: number;
}

/** From the last moment at which ingestors received every heartbeat to the moment from which they do again (epoch ms). */
export interface ListeningGap {
  fromMs: number;
  /** Infinite while the gap lasts. */
  toMs: number;
}

/** The holds of the whole deployment (`update_required` belongs to one droplet). */
export interface Holds {
  desiredUnavailable: boolean;
  actualNotFresh: boolean;
  /** Oldest first. In these times a DEA's silence does not grow. Absent if there was no gap lately. */
  listeningGaps?: readonly ListeningGap[];
  /** When ingestors began to listen since Redis holds this data. Absent if none did. */
  listeningBegunMs?: number;
  /** Every ingestor has stored every heartbeat delivered before this time. Absent if no ingestor has written a watermark. */
  heartbeatWatermarkMs?: number;
  /** Heartbeats sent before this time may be lost, with a connection or a process. Absent if no loss is known. */
  lossPossibleUntilMs?: number;
  /** Guids of the counted late DEAs while `mass_loss` is on, else empty. */
  massLossDeas: ReadonlySet<string>;
  /** Since when `mass_loss` is on; absent while it is off. */
  massLossSinceMs?: number;
  /** Since when `mass_loss` has been evaluated without a gap, and when it last was. Absent before the first evaluation. */
  massLossEvaluated?: { sinceMs: number; untilMs: number; beforeGapMs?: number };
  massDelete: boolean;
  /** What operators pause now; absent: nothing. */
  operatorHolds?: readonly OperatorHold[];
  /** Start of the latest complete pass; absent before the first. */
  lastPassBegunMs?: number;
  /** Start of the latest complete pass that wrote every entry, also unchanged ones; absent before the first. */
  lastFullPassBegunMs?: number;
}
