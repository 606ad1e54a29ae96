/**
 * The words of the health manager as types: what is known of one droplet.
 *
 * Units are in the names: `...Ms` is epoch milliseconds on Redis's clock, `...S` is epoch seconds as a
 * controller or a DEA wrote it (never compared with a time of another host).
 */

/** What the controller wants of a droplet (bulk API). Written by `sync` only. */
export interface Desired {
  state: 'STARTED' | 'STOPPED';
  packageState: 'STAGED' | 'PENDING' | 'FAILED';
  instances: number;
  /** The live version. */
  version: string;
  memoryMb: number;
  /** `updated_at` as epoch seconds. */
  updatedAtS: number;
}

/**
 * The states that mean something here are STARTING, RUNNING, CRASHED and EVACUATING; DEAs report others
 * (RESUMING, STOPPED, ...) and those count as not running.
 */
export type InstanceState = string;

/** One running copy of a droplet as a heartbeat last listed it. Written by `ingest` only. */
export interface Instance {
  /** The instance's own guid. */
  guid: string;
  index: number;
  version: string;
  state: InstanceState;
  stateTimestampS: number;
  dea: string;
  firstListedMs: number;
  /**
   * Absent while the DEA lists the instance: then it was heard when its DEA was. Once the DEA's list lacks
   * it: the time of the last heartbeat that listed it.
   */
  lastListedMs?: number;
}

/** The trace of the heartbeat that last changed the record. Written by `ingest`, only while tracing is on; decides nothing. */
export interface HeardTrace {
  atMs: number;
  /** W3C `traceparent`, as it stands there. */
  traceparent: string;
}

export type ExitReason = 'CRASHED' | 'STOPPED' | 'DEA_SHUTDOWN' | 'DEA_EVACUATION';

/** A `droplet.exited`. Written by `ingest` only; kept until it can matter no more. */
export interface Exit {
  /** Guid of the instance that ended. */
  instance: string;
  index: number;
  version: string;
  reason: ExitReason;
  /** When it was received. */
  atMs: number;
  /** The n-th exit of this droplet: larger than `Droplet.handledExits` means that no analyzer has seen it. */
  n: number;
  /** Only with CRASHED. */
  crashTimestampS?: number;
}

/** Why a start is asked for. */
export type StartReason = 'missing' | 'crashed' | 'evacuated' | 'flapping';
export type Priority = 'high' | 'normal' | 'low';

/** Why a stop is asked for. */
export type StopReason =
  | 'stopped'
  | 'extra_index'
  | 'wrong_version'
  | 'duplicate'
  | 'evacuation_complete'
  | 'extra_app';

/** A start that was decided: it waits in a queue, or it was sent and has shown no effect yet. */
export interface PendingStart {
  /** Decision id, also the job's id and the `Nats-Msg-Id`. */
  id: string;
  reason: StartReason;
  priority: Priority;
  decidedMs: number;
  /** Only with `flapping`: when the delay is over. */
  dueMs?: number;
}

/** What the analyzer remembers of one slot of the live version. Written by `analyzer` only. */
export interface Slot {
  index: number;
  /** A slot of another than the live version is of no account. */
  version: string;
  /** Crashes in a row, each at most `flapping_timeout` after the one before. */
  crashes: number;
  /** `crash_timestamp` of the latest one counted. */
  lastCrashS?: number;
  /** When the latest crash was heard: the end of given up is measured from here. */
  lastCrashMs?: number;
  flapping: boolean;
  start?: PendingStart;
  /** The hold that keeps the slot from being started, so that it is logged once and not at every look. */
  held?: HoldName;
  /** What the start that is kept back answers, where that was an event, which is not told again. */
  heldFor?: Exclude<StartReason, 'missing'>;
}

/** A stop that was decided. Written by `analyzer` only. */
export interface PendingStop {
  instance: string;
  id: string;
  reason: StopReason;
  decidedMs: number;
  /** Present: nothing was decided, this hold forbids it; remembered so that it is logged once, not at every look. */
  held?: HoldName;
}

/** What became of a decided start or stop. Written by `nudger` only, removed by `analyzer` with the decision. */
export interface Outcome {
  /** Decision id. */
  id: string;
  /** `sent`: published; `dropped`: the check when leaving found it no longer right. */
  outcome: 'sent' | 'dropped';
  atMs: number;
  /** Only with `dropped`. */
  why?: string;
  /** By chance: tells the try that settled it from all others. */
  by?: string;
}

/** All that is known of one droplet. */
export interface Droplet {
  id: string;
  /** Counts every change of the record, whoever makes it: a decision is stored only if it has not moved on. */
  rev: number;
  /** First heard of, in a heartbeat or in the desired state. */
  firstSeenMs: number;
  /** The last known desired state. Stays when the droplet leaves the desired state, see `goneMs`. */
  desired?: Desired;
  /**
   * Set by the first complete pass that does not list the droplet: when it was last listed. Removed when it
   * is listed again. So its presence says that at least one complete pass since then did not list it.
   */
  goneMs?: number;
  /** When the latest `droplet.updated` came. */
  updatedMs?: number;
  /** When the latest pass that wrote the droplet's entry began: ends `update_required` if after `updatedMs`. */
  listedMs?: number;
  instances: Instance[];
  heardTrace?: HeardTrace;
  exits: Exit[];
  /** How many exits the analyzer has taken into account (see `Exit.n`). */
  handledExits: number;
  /** `updatedMs` of the latest update that the analyzer has taken into account. */
  handledUpdateMs?: number;
  slots: ReadonlyMap<number, Slot>;
  /** By instance guid. */
  stops: ReadonlyMap<string, PendingStop>;
  /** By decision id. */
  outcomes: ReadonlyMap<string, Outcome>;
}

/** When a DEA was heard. */
export interface DeaLiveness {
  /** The latest heartbeat. */
  lastHeartbeatMs: number;
  /** The one before it; absent after the first. */
  previousHeartbeatMs?: number;
}

export type HoldName =
  | 'desired_unavailable'
  | 'update_required'
  | 'actual_not_fresh'
  | 'mass_loss'
  | 'mass_delete';

/** The holds that are on for the whole deployment (`update_required` is a droplet's own). */
export interface Holds {
  desiredUnavailable: boolean;
  actualNotFresh: boolean;
  /** What DEAs said until then is known, every ingestor has stored it; absent if nobody knows. */
  heartbeatWatermarkMs?: number;
  /** What DEAs said until then may be lost, as connections and processes were; absent if nothing is known to. */
  lossPossibleUntilMs?: number;
  /** Guids of the counted late DEAs while the hold is on, else empty. */
  massLossDeas: ReadonlySet<string>;
  /** Since when `mass_loss` has been judged without a gap, and when it last was; absent if it never was. */
  massLossEvaluated?: { sinceMs: number; untilMs: number };
  massDelete: boolean;
  /** Start of the latest complete pass; absent before the first. */
  lastPassBegunMs?: number;
}
