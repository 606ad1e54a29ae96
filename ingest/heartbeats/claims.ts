import { listenedAgoMs } from '../../common/policy/listening-time.ts';
import { lateAfterMs, leftOutMs } from '../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { gapsFrom } from '../../common/redis/holds.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { releaseDea } from '../../common/redis/scripts/heartbeats/release-dea.ts';
import type { Claim } from '../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';

/**
 * Which claims apply (policy: an instance belongs to the DEA that lists it): those of a DEA that is late or has announced its
 * shutdown, and those of an instance that its DEA has left out for longer than a heartbeat period.
 *
 * If the owner comes back, its next heartbeat is stored whole and claims the instance in turn. So no DEA's instances are without
 * a DEA that lists them, whichever of the two runs them.
 *
 * @param nowMs when the heartbeat with the claims was received: an owner that was heard since is not late
 */
export async function grantedClaims(
  redis: RedisConnections,
  dropletLostMs: number,
  claims: readonly Claim[],
  nowMs: number,
): Promise<Claim[]> {
  if (claims.length === 0) return [];
  const settings = { dropletLostMs };
  const gaps = gapsFrom(await readFleetFacts(redis), nowMs, settings);
  const lateBeforeMs = listenedAgoMs(nowMs, lateAfterMs(settings), gaps);
  const owners = new Set(claims.map(({ owner }) => owner));
  const states = new Map(
    await Promise.all(
      [...owners].map(async (dea) => [dea, await releaseDea(redis, { dea, lateBeforeMs })] as const),
    ),
  );
  return claims.filter(({ owner, lastListedMs }) => {
    const state = states.get(owner);
    if (state === 'released') return true;
    return lastListedMs !== undefined && Number(state) - lastListedMs > leftOutMs(settings);
  });
}

/** Once claims were applied: an owner that was heard meanwhile, and whose heartbeat was equal, claims its instances again. */
export async function releaseOwners(redis: RedisConnections, granted: readonly Claim[]): Promise<void> {
  const owners = new Set(granted.map(({ owner }) => owner));
  const lateBeforeMs = Number.POSITIVE_INFINITY;
  await Promise.all([...owners].map((dea) => releaseDea(redis, { dea, lateBeforeMs })));
}
