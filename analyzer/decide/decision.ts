/** The result of `decide`: the decisions that the analyzer stores, logs and acts on. */
import type { PendingStop, Slot } from '../../common/model/droplet.ts';
import type { OperatorHold } from '../../common/model/operator-hold.ts';
import type { DropReason, HoldName, Priority, StartReason, StopReason } from '../../common/model/reasons.ts';

/** Start one slot. */
export interface StartDecision {
  kind: 'start';
  id: string;
  index: number;
  version: string;
  reason: StartReason;
  priority: Priority;
  /** Priority in the queue: lower is sent first. */
  queuePriority: number;
  /** Only with reason `flapping`: when the delay ends (epoch ms). */
  dueMs?: number;
  /** How many starts of the slot in a row before this one had no effect; absent: none. */
  attempts?: number;
}

/** Stop one instance. */
export interface StopDecision {
  kind: 'stop';
  id: string;
  instance: string;
  index: number;
  version: string;
  reason: StopReason;
}

/** Raise the priority of a waiting start; `id` is that start's id. */
export interface RaisePriorityDecision {
  kind: 'raise';
  id: string;
  index: number;
  version: string;
  reason: 'evacuated';
  priority: 'high';
  queuePriority: number;
}

/** Cancel a waiting start, restart or stop that is no longer right; `id` is its id. */
export type CancelDecision = { kind: 'cancel'; id: string; why: DropReason } & (
  | { what: 'start'; index: number; version: string; reason: StartReason }
  | { what: 'stop'; instance: string; reason: StopReason }
);

/** A hold prevents a start or a stop. Decided once, when the hold first applies. */
export type HeldDecision = {
  kind: 'held';
  id: string;
  hold: HoldName;
  /** With the hold `operator`: the one that prevents it. */
  operatorHold?: OperatorHold;
} & (
  | { what: 'start'; index: number; version: string; reason: StartReason }
  | { what: 'stop'; instance: string; index: number; version: string; reason: StopReason }
);

/** The slot crashed too often: no start until an update, a new version, or `flapping_timeout` without a crash. */
export interface GiveUpDecision {
  kind: 'giveup';
  id: string;
  index: number;
  version: string;
  crashes: number;
}

/** Several starts of the slot in a row had no effect. Decided once. */
export interface UnplacedDecision {
  kind: 'unplaced';
  id: string;
  index: number;
  version: string;
  attempts: number;
}

export type Decision =
  | StartDecision
  | StopDecision
  | RaisePriorityDecision
  | CancelDecision
  | HeldDecision
  | GiveUpDecision
  | UnplacedDecision;

/** What to do about one droplet, and the next values of the analyzer's fields in its record. */
export interface DecisionResult {
  decisions: readonly Decision[];
  /** The next slots; the same map if none changed, and the same object for each slot that did not. */
  slots: ReadonlyMap<number, Slot>;
  /** The next stops by instance; the same map if none changed, the same object for each stop that did not. */
  stops: ReadonlyMap<string, PendingStop>;
  handledExits: number;
  handledUpdateMs: number | undefined;
  /** The next `Droplet.undesiredMs`. */
  undesiredMs: number | undefined;
  /** Ids of outcomes that belong to no pending start or stop any more. */
  outcomesToForget: readonly string[];
  /** Indices whose retry, which an operator asked for, is handled. */
  retriesToForget: readonly number[];
  /** Guids of instances that are too old to matter. */
  instancesToForget: readonly string[];
  /** Instance guids of exits that are too old to matter. */
  exitsToForget: readonly string[];
  /** Starts and stops that have waited long: their jobs must be in the queue. Nothing is stored for them. */
  verifyJobs: readonly (StartDecision | StopDecision)[];
  /** Clean-up: remove the droplet with all that belongs to it. */
  remove: boolean;
  /** Any of the above must be stored. */
  changed: boolean;
  /** All that must be stored is clean-up, which may wait for `droplet_gc`. */
  isCleanUpOnly?: true;
  /** When the decision may differ without a new event or heartbeat (epoch ms); absent: never. */
  requeueAtMs?: number;
  /** As `requeueAtMs`, if the jobs of all waiting starts are known to be in their queue; absent: no later. */
  requeueOnceEnqueuedMs?: number;
  /** A bulk pass is needed at once that does not begin before this (epoch ms); absent: none. */
  passNeededSinceMs?: number;
  /** Only a pass that writes every entry shows whether the controller lists the droplet. */
  isFullPassNeeded?: true;
  /** When a tick makes the droplet due, unless its silent DEA sends a heartbeat before (epoch ms). */
  lossMs?: number;
}

/** Whether the droplet is healthy: nothing to store, no jobs to verify and no time to be reconciled again. */
export function isQuiet(decided: DecisionResult): boolean {
  return !decided.changed && decided.verifyJobs.length === 0 && decided.requeueAtMs === undefined;
}
