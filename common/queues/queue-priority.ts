import { PRIORITIES, type Priority } from '../model/reasons.ts';

/** Ranks within one class. */
const RANKS = 1000;
/** Slots with more attempts are in one class. BullMQ's priorities end at 2,097,152. */
const MAX_ATTEMPTS = 100;

/**
 * BullMQ's priority of a start job: the lowest number is sent first. All first-time starts of `high` come before all of `normal`
 * and of `low`. Starts of slots where earlier ones did not help come after all of these, those with fewer attempts first. Within
 * a class the droplet with the largest share of missing indices is first. At least 1, because 0 means no priority.
 *
 * @param missingShare share of the droplet's wanted indices that have no live instance, 0..1
 * @param attempts starts of the slot, in a row, that did not help
 */
export function queuePriority(priority: Priority, missingShare: number, attempts = 0): number {
  const share = Math.min(1, Math.max(0, missingShare));
  const place =
    attempts === 0 ? PRIORITIES.indexOf(priority) : PRIORITIES.length - 1 + Math.min(attempts, MAX_ATTEMPTS);
  return place * RANKS + 1 + Math.round((1 - share) * (RANKS - 1));
}
