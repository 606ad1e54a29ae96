import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import {
  type HeartbeatWrite,
  type ListedDroplets,
  mergeStored,
  type StoredDroplets,
  storeHeartbeatDroplets,
} from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { type ClaimsAt, grantedClaims, releaseOwners } from './claims.ts';

/** Writes the instances whose claims apply. @returns what was stored in all, with the claims that were rejected; when to retry those */
export async function applyClaims(
  redis: RedisConnections,
  at: ClaimsAt,
  { write, droplets, stored }: { write: HeartbeatWrite; droplets: ListedDroplets; stored: StoredDroplets },
): Promise<{ stored: StoredDroplets; retryAtMs?: number }> {
  const { granted, ...retry } = await grantedClaims(redis, at, stored.claims);
  if (granted.length === 0) return { stored, ...retry };
  const claimed = new Map(granted.map(({ droplet }) => [droplet, droplets.get(droplet) ?? []]));
  const applied = await storeHeartbeatDroplets(redis, { ...write, granted }, claimed);
  await releaseOwners(redis, at, granted);
  const isOther = (droplet: string) => !claimed.has(droplet);
  const others: StoredDroplets = {
    ...stored,
    unwanted: stored.unwanted.filter(isOther),
    claims: stored.claims.filter(({ droplet }) => isOther(droplet)),
    refusals: stored.refusals.filter(({ droplet }) => isOther(droplet)),
  };
  return { stored: mergeStored([others, applied]), ...retry };
}
