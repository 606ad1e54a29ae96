import type { ExitReason, HoldName, Priority, StartReason, StopReason } from './droplet.ts';

/** Entries kept per slice: with 256 slices the last million decisions of a deployment. */
export const LOG_LENGTH = 4096;

/** What a line of the decision log says: a decision, what became of one, or what made one necessary. */
export type LogKind =
  /** A start was decided. */
  | 'start'
  /** A stop was decided. */
  | 'stop'
  /** A waiting start was given a higher priority. */
  | 'raise'
  /** A waiting start or restart is no longer right and was taken back. */
  | 'cancel'
  /** A decision is not made because of a hold. */
  | 'held'
  /** A slot crashed too often and is not started any more. */
  | 'giveup'
  /** A start or stop left for NATS. */
  | 'sent'
  /** A start or stop was no longer right when it was to leave. */
  | 'dropped'
  /** An instance ended (`droplet.exited`). */
  | 'exit'
  /** A slot that a start was on its way to, that was flapping or held, has a live instance again. */
  | 'up'
  /** The controller said `droplet.updated`. */
  | 'updated'
  /** A bulk pass brought another desired state. */
  | 'desired'
  /** A complete bulk pass no longer lists the droplet. */
  | 'gone'
  /** A bulk pass lists the droplet again. */
  | 'listed'
  /** Clean-up: the record was removed. */
  | 'removed';

/** A line of the decision log, as kept in the slice's stream (field `entry`, JSON). */
export interface LogEntry {
  /** When it happened, on Redis's clock; what is heard from outside may be written a little later. */
  atMs: number;
  droplet: string;
  kind: LogKind;
  /** Id of the decision that this is, or is about; also in the header `hm-decision`. */
  id?: string;
  /** With `held` and `cancel`: of what. */
  what?: 'start' | 'stop';
  reason?: StartReason | StopReason;
  index?: number;
  version?: string;
  /** The one it is about; with the start of a slot: the one last heard there, if any is known. */
  instance?: string;
  priority?: Priority;
  /** A flapping restart is due then. */
  dueMs?: number;
  /** How many times in a row the slot has crashed. */
  crashes?: number;
  hold?: HoldName;
  /** Why it was taken back or dropped. */
  why?: string;
  /** With `exit`. */
  exit?: ExitReason;
  /** What was seen of `instance`: its DEA, its state there, and when a heartbeat last listed it. */
  dea?: string;
  state?: string;
  lastHeartbeatMs?: number;
  /** With `up`: the instance was there before, and is heard again. */
  again?: true;
  /** With `stop`: how many instances, and of which version, are wanted. */
  wanted?: number;
  liveVersion?: string;
  /** With `desired`: the desired state before and after, in words as in the droplet's record. */
  was?: string;
  is?: string;
  /** With `gone`: when it was last listed. */
  listedMs?: number;
  /** With `sent`: nothing was published (`dry_run`). */
  dryRun?: true;
}
