import type { RedisConnections } from '../../connection/connections.ts';

/** Stands for the digest of a DEA whose next heartbeat must be stored whole. */
const EXPIRED = '';
const DEAS_PER_CALL = 1000;

/** The next heartbeat of each of these DEAs is stored whole, although it may equal the last one. */
export async function expireDigests(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  deas: readonly string[],
): Promise<void> {
  for (let at = 0; at < deas.length; at += DEAS_PER_CALL) {
    const digests = Object.fromEntries(deas.slice(at, at + DEAS_PER_CALL).map((dea) => [dea, EXPIRED]));
    await client.hset(keys.deasDigest, digests);
  }
}

/** The next heartbeat of every DEA is stored whole. */
export async function expireAllDigests(redis: Pick<RedisConnections, 'client' | 'keys'>): Promise<void> {
  await expireDigests(redis, await redis.client.hkeys(redis.keys.deasDigest));
}
