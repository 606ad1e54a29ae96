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

/**
 * The next heartbeat of every DEA is stored whole, also where one is being stored now: such a DEA has no digest, so the DEAs are those
 * of which a heartbeat is known.
 */
export async function expireAllDigests(redis: Pick<RedisConnections, 'client' | 'keys'>): Promise<void> {
  const { client, keys } = redis;
  const [known, stored] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1'),
    client.hkeys(keys.deasDigest),
  ]);
  await expireDigests(redis, [...new Set([...known, ...stored])]);
}
