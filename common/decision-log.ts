import type { HoldName, Priority, StartReason, StopReason } from './droplet.ts';

/** Entries kept per slice: with 256 slices the last million decisions of a deployment. */
export const LOG_LENGTH = 4096;

/** What a line of the decision log says. */
export type LogKind =
  /** A start was decided. */
  | 'start'
  /** A stop was decided. */
  | 'stop'
  /** A waiting start was given a higher priority. */
  | 'lift'
  /** A waiting start or restart is no longer right and was taken back. */
  | 'cancel'
  /** A decision is not made because of a hold. */
  | 'held'
  /** A slot crashed too often and is not started any more. */
  | 'giveup'
  /** A start or stop left for NATS. */
  | 'sent'
  /** A start or stop was no longer right when it was to leave. */
  | 'dropped';

/** A line of the decision log, as kept in the slice's stream (field `entry`, JSON). */
export interface LogEntry {
  /** When, on Redis's clock. */
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
  instance?: string;
  priority?: Priority;
  /** A flapping restart is due then. */
  dueMs?: number;
  /** How many times in a row the slot has crashed. */
  crashes?: number;
  hold?: HoldName;
  /** Why it was taken back or dropped. */
  why?: string;
}
