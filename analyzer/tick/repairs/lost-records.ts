import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';

/**
 * Notes index entries without a record. The entry keeps when this was first seen. The record may be that of a listed droplet, so a pass
 * that writes every entry is needed. The entry is removed only if such a pass, begun later, did not bring the record back.
 *
 * @param ids droplets of the index that had no readable record
 * @returns the removed entries, and whether a full pass is needed
 */
export async function noteLostRecords(
  redis: RedisConnections,
  clock: Clock,
  ids: readonly string[],
): Promise<{ removed: string[]; isFullPassNeeded: boolean }> {
  const { client, keys } = redis;
  const removed: string[] = [];
  let isFullPassNeeded = false;
  if (ids.length === 0) return { removed, isFullPassNeeded };
  const [{ fullPassBegunMs = 0 }, entries] = await Promise.all([
    readFleetFacts(redis),
    Promise.all(
      ids.map((id) => Promise.all([client.hget(keys.indexOf(id), id), client.exists(keys.droplet(id))])),
    ),
  ]);
  const writes: Promise<unknown>[] = [];
  ids.forEach((id, at) => {
    const [notedAt, exists] = entries[at] as [string | null, number];
    // Removed or written meanwhile.
    if (notedAt === null || exists === 1) return;
    const notedMs = Number(notedAt);
    if (notedAt === '' || !Number.isFinite(notedMs)) {
      writes.push(client.hset(keys.indexOf(id), id, clock.nowMs()));
      isFullPassNeeded = true;
    } else if (fullPassBegunMs > notedMs) {
      writes.push(client.hdel(keys.indexOf(id), id));
      removed.push(id);
    } else {
      isFullPassNeeded = true;
    }
  });
  await Promise.all(writes);
  return { removed, isFullPassNeeded };
}
