import { PRIORITIES, type Priority } from '../model/reasons.ts';

/** Ranks within one priority. */
const RANKS = 1000;

/**
 * BullMQ's priority of a start job: the lowest number is sent first. All of `high` come before all of `normal` and of `low`.
 * Within a priority the droplet with the largest share of missing indices is first. At least 1, because 0 means no priority.
 *
 * @param missingShare share of the droplet's wanted indices that have no live instance, 0..1
 */
export function queuePriority(priority: Priority, missingShare: number): number {
  const share = Math.min(1, Math.max(0, missingShare));
  return PRIORITIES.indexOf(priority) * RANKS + 1 + Math.round((1 - share) * (RANKS - 1));
}
