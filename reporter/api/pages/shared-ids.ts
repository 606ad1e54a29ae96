/** The ids of all apps for lists, which all viewers share. */
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { readIds } from '../../../common/redis/records/readers.ts';
import { singleFlight } from '../../../common/runtime/tasks/single-flight.ts';

/**
 * Of 100,000 apps, reading and sorting the ids takes 0.2 s of CPU, reading the 50 records of a page 3 ms. An app is new or gone
 * after a bulk sync, which is up to a minute late, so a few seconds more change little.
 */
const KEPT_MS = 10_000;

/** @returns reads the ids in ascending order, again when they are older than ten seconds; a failed read is not kept */
export function sharedIds(
  redis: RedisConnections,
  nowMs: () => number = () => performance.now(),
): () => Promise<readonly string[]> {
  let kept: { ids: readonly string[]; readMs: number } | undefined;
  const read = singleFlight(async () => {
    const readMs = nowMs();
    const slices = Array.from({ length: redis.keys.slices }, (_, slice) => readIds(redis, slice));
    const ids = (await Promise.all(slices)).flat().sort();
    kept = { ids, readMs };
    return ids;
  });
  return async () => (kept !== undefined && nowMs() - kept.readMs < KEPT_MS ? kept.ids : read());
}
