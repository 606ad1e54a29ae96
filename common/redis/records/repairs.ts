import { Counter, type Registry } from 'prom-client';
import type { RateLimitedLog } from '../../runtime/log/log.ts';

/** What is found missing or damaged in Redis and is built again. */
export const REPAIRS = [
  'record',
  'index',
  'due',
  'digest',
  'page',
  'list',
  'fleet_key',
  'key_type',
  'heartbeat_time',
] as const;

export type Repaired = (typeof REPAIRS)[number];

/** Droplets that one log entry names. */
const MAX_LOGGED = 10;

/** The metric of repairs, which several processes have. */
export function repairsCounter(registry: Registry): Counter<'what'> {
  return new Counter({
    name: 'hm_repairs_total',
    help: 'Things found missing or damaged in Redis and built again, by what: record, index, due, digest, page, list, fleet_key, key_type or heartbeat_time',
    labelNames: ['what'],
    registers: [registry],
  });
}

/**
 * Counts and logs what was built again.
 *
 * @param ids what was repaired: droplets, DEAs, pages or keys
 * @param count how many, if not each has an id
 */
export function reportRepair(
  { repairs, limited }: { repairs: Counter<'what'>; limited: RateLimitedLog },
  what: Repaired,
  ids: readonly string[],
  count = ids.length,
): void {
  if (count === 0) return;
  repairs.inc({ what }, count);
  limited.warn(
    `repaired ${what}`,
    { event: 'state_repaired', what, count, ...(ids.length > 0 && { ids: ids.slice(0, MAX_LOGGED) }) },
    'state repaired: something was missing or damaged in Redis',
  );
}
