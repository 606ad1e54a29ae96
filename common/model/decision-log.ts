import type { HoldCovers, OperatorAct } from './operator-hold.ts';
import type { ExitReason, HoldName, Priority, StartReason, StopReason } from './reasons.ts';

/** Entries kept per slice: with 256 slices the last million entries of a deployment. */
export const LOG_LENGTH = 4096;

/** A decision, what became of one, or an event that made one necessary. */
export const LOG_KINDS = [
  /** A start was decided. */
  'start',
  /** A stop was decided. */
  'stop',
  /** A waiting start was given a higher priority. */
  'raise',
  /** A waiting start, restart or stop is no longer right and was taken back. */
  'cancel',
  /** A decision is not made because of a hold. */
  'held',
  /** A slot crashed too often and is not started any more. */
  'giveup',
  /** Several starts of a slot in a row had no effect, so no DEA seems to have room for it. It is still tried, more rarely. */
  'unplaced',
  /** A start or stop was published on NATS. */
  'sent',
  /** The controller refused a start or stop that was sent: `why` has its words. Only with the dialect `hm9000-http`. */
  'refused',
  /** The recheck of a start or stop found that it is no longer right. */
  'dropped',
  /** An instance ended (`droplet.exited`). */
  'exit',
  /** A slot that was flapping or held, or had a pending start, has a live instance again. */
  'up',
  /** A `droplet.updated` was received. */
  'updated',
  /** A bulk pass brought another desired state. */
  'desired',
  /** A complete bulk pass no longer lists the droplet. */
  'gone',
  /** A bulk pass lists the droplet again. */
  'listed',
  /** Clean-up: the record was removed. */
  'removed',
  /** An operator acted: see `act` and `by`. */
  'operator',
] as const;
export type LogKind = (typeof LOG_KINDS)[number];

/** An entry of the decision log, kept as JSON in the field `entry` of the slice's stream. */
export interface LogEntry {
  /** When it happened, by Redis's clock. A received event may be written a little later. */
  atMs: number;
  /** Empty: the entry is about the whole deployment (only `operator`). */
  droplet: string;
  kind: LogKind;
  /** Id of the decision that this entry is, or is about. The same as in the header `hm-decision`. */
  id?: string;
  /** With `held` and `cancel`: what is held or taken back. */
  what?: 'start' | 'stop';
  reason?: StartReason | StopReason;
  index?: number;
  version?: string;
  /** The instance that the entry is about. With the start of a slot: the last known instance there, if any. */
  instance?: string;
  priority?: Priority;
  /** End of the delay of a flapping restart. */
  dueMs?: number;
  /** How many times in a row the slot has crashed. */
  crashes?: number;
  /** With `start` and `unplaced`: how many starts of the slot in a row had no effect. */
  attempts?: number;
  hold?: HoldName;
  /** Why the decision was taken back or dropped. */
  why?: string;
  /** With `exit`. */
  exit?: ExitReason;
  exitStatus?: number;
  exitDescription?: string;
  /** Evidence about `instance`: its DEA, its last listed state, and the last heartbeat that listed it. */
  dea?: string;
  state?: string;
  lastHeartbeatMs?: number;
  /** With `up`: the instance is an old one whose heartbeats are received again. */
  again?: true;
  /** With `stop`: how many instances are wanted, and of which version. */
  wanted?: number;
  liveVersion?: string;
  /** With `desired`: the desired state before and after, encoded as in the droplet's record. */
  was?: string;
  is?: string;
  /** With `gone`: when it was last listed. */
  listedMs?: number;
  /** With `operator`: what was done. */
  act?: OperatorAct;
  /** With `operator`, and with `held` by the hold `operator`: who did it or asked for the hold. */
  by?: string;
  /** The same: the reason of the operator hold, its id, what it covers, and its end (epoch ms). */
  note?: string;
  holdId?: string;
  covers?: HoldCovers;
  untilMs?: number;
  /** With `operator`: the slots to retry. */
  indices?: number[];
  /** With `sent`: nothing was published (`dry_run`). */
  dryRun?: true;
}
