/** The one place that lists why something is done, and how urgent it is. */
import type { HoldName, Priority, StartReason, StopReason } from './droplet.ts';

/** Each start reason with its priority. A `flapping` restart waits for its delay and passes the queue by. */
export const START_PRIORITY: Readonly<Record<StartReason, Priority>> = {
  missing: 'normal',
  crashed: 'low',
  evacuated: 'high',
  flapping: 'high',
};

export const START_REASONS: readonly StartReason[] = ['missing', 'crashed', 'evacuated', 'flapping'];

export const STOP_REASONS: readonly StopReason[] = [
  'stopped',
  'extra_index',
  'wrong_version',
  'duplicate',
  'evacuation_complete',
  'extra_app',
];

/** In the order in which one is named when several forbid the same decision. */
export const HOLD_NAMES: readonly HoldName[] = [
  'update_required',
  'desired_unavailable',
  'actual_not_fresh',
  'mass_loss',
  'mass_delete',
];

/** Why a decided start or stop is not sent, or taken back before it left. */
export type DropReason =
  /** The record no longer holds this decision: another took its place, or it was taken back. */
  | 'superseded'
  /** It has an outcome already. */
  | 'done'
  /** The slot has a live instance. */
  | 'live'
  /** The slot is not wanted (any more), or the version is not the live one. */
  | 'not_wanted'
  /** The slot crashed too often. */
  | 'given_up'
  /** A `droplet.updated` came and counts afresh. */
  | 'updated'
  /** An update or a STOPPED exit gave the slot new time. */
  | 'in_grace_period'
  /** The instance to stop does not run any more. */
  | 'gone'
  /** The instance is not, or no longer, surplus. */
  | 'not_surplus'
  /** The controller's own check would refuse it. */
  | 'refused'
  /** It could not leave at once after its second look: what it found may have changed since. */
  | 'late'
  | `held:${HoldName}`;

/** Places within one priority of the queue. */
const PLACES = 1000;
const CLASSES: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };

/**
 * The queue's number for a start: lower leaves first, never below 1 (0 would be "none"). High before normal
 * before low, and within each the droplet that is worst off.
 *
 * @param missingShare share of the droplet's wanted indices that have no live instance, 0..1
 */
export function queuePriority(priority: Priority, missingShare: number): number {
  const share = Math.min(1, Math.max(0, missingShare));
  return CLASSES[priority] * PLACES + 1 + Math.round((1 - share) * (PLACES - 1));
}
