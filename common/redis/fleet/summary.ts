import { HOLD_NAMES, type HoldName } from '../../model/reasons.ts';
import type { RedisConnections } from '../connection/connections.ts';

/** Totals that the audit counts for each slice; the sums over all slices are those of the fleet. */
export const TOTALS = [
  /** Records, of whatever kind. */
  'droplets',
  /** Records with a live instance, whether the controller lists them or not. */
  'live_droplets',
  /** Apps that the controller lists. */
  'apps',
  /** Their instances, also of those that are stopped. */
  'instances',
  /** The memory of these (MB). */
  'memory_mb',
  /** The same of the apps that are STARTED. */
  'started_apps',
  'started_instances',
  'started_memory_mb',
  /** Wanted slots with a live instance. */
  'running',
  /** Wanted slots without one. */
  'missing',
  /** Wanted slots that are FLAPPING. */
  'flapping',
  /** Wanted slots that are *unplaced*: several starts in a row had no effect. */
  'unplaced',
  /** Crash records, as a status query shows them. */
  'crashed',
  /** Crash records of apps that are STARTED. */
  'started_crashed',
] as const;

export type TotalName = (typeof TOTALS)[number];

/** Field of a slice's summary: droplets that the hold keeps from being started or stopped. */
export function heldField(hold: HoldName): string {
  return `held_${hold}`;
}

/** Field of a slice's summary: how long its latest audit took (ms). */
export const AUDIT_DURATION = 'duration_ms';

/** All fields of a slice's summary. */
export const SUMMARY_FIELDS: readonly string[] = [...TOTALS, ...HOLD_NAMES.map(heldField), AUDIT_DURATION];

/** The sums over all slices' summaries, field by field; a command a slice, in one pipeline. */
export async function readSummary(
  { client, keys }: RedisConnections,
  fields: readonly string[],
): Promise<Map<string, number>> {
  const slices = await Promise.all(
    Array.from({ length: keys.slices }, (_, slice) => client.hmget(keys.summary(slice), ...fields)),
  );
  return new Map(
    fields.map((field, at) => [field, slices.reduce((sum, values) => sum + Number(values[at] ?? 0), 0)]),
  );
}
