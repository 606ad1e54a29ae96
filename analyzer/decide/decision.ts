/** What `decide` finds: the words that the analyzer stores, logs and acts on. */
import type {
  HoldName,
  PendingStop,
  Priority,
  Slot,
  StartReason,
  StopReason,
} from '../../common/model/droplet.ts';
import type { DropReason } from '../../common/model/reasons.ts';

/** Ask for one slot to be started. */
export interface StartDecision {
  kind: 'start';
  id: string;
  index: number;
  version: string;
  reason: StartReason;
  priority: Priority;
  /** The queue's number: lower leaves first. */
  queuePriority: number;
  /** Only with `flapping`: when the delay is over (epoch ms). */
  dueMs?: number;
}

/** Ask for one instance to be stopped. */
export interface StopDecision {
  kind: 'stop';
  id: string;
  instance: string;
  index: number;
  version: string;
  reason: StopReason;
}

/** A waiting start becomes urgent: `id` is the start's. */
export interface RaisePriorityDecision {
  kind: 'raise';
  id: string;
  index: number;
  version: string;
  reason: 'evacuated';
  priority: 'high';
  queuePriority: number;
}

/** A waiting start, restart or stop is no longer right and is taken back: `id` is the start's or the stop's. */
export type CancelDecision = { kind: 'cancel'; id: string; why: DropReason } & (
  | { what: 'start'; index: number; version: string; reason: StartReason }
  | { what: 'stop'; instance: string; reason: StopReason }
);

/** A start or a stop is not decided because of a hold; said once, when it begins. */
export type HeldDecision = { kind: 'held'; id: string; hold: HoldName } & (
  | { what: 'start'; index: number; version: string; reason: StartReason }
  | { what: 'stop'; instance: string; index: number; version: string; reason: StopReason }
);

/** A slot crashed too often: no start until an update, a new version, or `flapping_timeout` without a crash. */
export interface GiveUpDecision {
  kind: 'giveup';
  id: string;
  index: number;
  version: string;
  crashes: number;
}

export type Decision =
  | StartDecision
  | StopDecision
  | RaisePriorityDecision
  | CancelDecision
  | HeldDecision
  | GiveUpDecision;

/** The whole answer about one droplet: what to do, and the next values of the analyzer's own fields. */
export interface DecisionResult {
  decisions: readonly Decision[];
  /** The next slots; the same map if none changed, and the same object for each slot that did not. */
  slots: ReadonlyMap<number, Slot>;
  /** The next stops by instance; the same map if none changed, the same object for each stop that did not. */
  stops: ReadonlyMap<string, PendingStop>;
  handledExits: number;
  handledUpdateMs: number | undefined;
  /** Ids of outcomes that have done their duty. */
  outcomesToForget: readonly string[];
  /** Guids of what is too old to matter. */
  instancesToForget: readonly string[];
  exitsToForget: readonly string[];
  /** Waiting for long: make sure that their jobs still exist. Nothing is to be stored for them. */
  verifyJobs: readonly (StartDecision | StopDecision)[];
  /** Clean-up: remove the droplet with all that belongs to it. */
  remove: boolean;
  /** Something of the above must be stored. */
  changed: boolean;
  /** Only what is too old to matter is to be forgotten: that may wait for `droplet_gc`. */
  tidies?: true;
  /** When the answer may change though nothing new is heard (epoch ms); absent: not without news. */
  requeueAtMs?: number;
  /** The same if the jobs of all waiting starts are known to be in their queue; absent: no later than without. */
  requeueOnceEnqueuedMs?: number;
  /** When a tick makes it due, unless a DEA is heard until then that has been silent for a while (epoch ms). */
  lossMs?: number;
}

/** Nothing to store, nothing to make sure of, nothing to come back for: the droplet is as it should be. */
export function isQuiet(decided: DecisionResult): boolean {
  return !decided.changed && decided.verifyJobs.length === 0 && decided.requeueAtMs === undefined;
}
