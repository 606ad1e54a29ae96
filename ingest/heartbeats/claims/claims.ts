import { isLossEstablished, type SilenceHolds } from '../../../common/policy/fleet/holds.ts';
import { listenedAgoMs } from '../../../common/policy/fleet/listening-time.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { lateAfterMs, leftOutMs } from '../../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { gapsFrom, silenceHoldsFrom } from '../../../common/redis/fleet/holds/holds.ts';
import { lineOfInstance, releaseDea } from '../../../common/redis/scripts/deas/release-dea.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import type { Claim } from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';

/** How claims are judged. */
export interface ClaimsAt {
  dropletLostMs: number;
  /** When the heartbeat with the claims was received, or when they are retried. */
  nowMs: number;
  /** What other DEAs took over from this one while it was silent, a line each (`lineOfInstance`). */
  releasedList: string;
}

/**
 * Which claims apply (policy: an instance belongs to the DEA that lists it): those of a DEA that is late or has announced its
 * shutdown, and those of an instance that its DEA has left out for longer than a heartbeat period. One that changes the index or version,
 * so that a slot would be empty, applies only once nothing keeps back that the owner is lost.
 *
 * The owner may come back, because it was only cut off. Its next heartbeat is stored whole and gets back what it lists, since the owner
 * listed it first. So a claim, true or made up, never makes an instance missing while a live DEA lists it.
 *
 * @returns also when the first owner of the others may be late (epoch ms)
 */
export async function grantedClaims(
  redis: RedisConnections,
  { dropletLostMs, nowMs, releasedList }: ClaimsAt,
  claims: readonly Claim[],
): Promise<{ granted: Claim[]; retryAtMs?: number }> {
  const released = new Set(releasedList === '' ? [] : releasedList.slice(1, -1).split('\n'));
  const isOwn = (claim: Claim) => released.has(lineOfInstance(claim).slice(0, -1));
  const foreign = released.size === 0 ? claims : claims.filter((claim) => !isOwn(claim));
  if (foreign.length === 0) return { granted: [...claims] };
  const settings = { dropletLostMs };
  const facts = await readFleetFacts(redis);
  const gaps = gapsFrom(facts, nowMs, settings);
  const lateBeforeMs = listenedAgoMs(nowMs, lateAfterMs(settings), gaps);
  const lost = await lostOwners(redis, foreign, silenceHoldsFrom(facts, nowMs, settings), settings);
  const judged = foreign.filter(({ owner, changesIdentity }) => !changesIdentity || lost.has(owner));
  const states = new Map(
    await Promise.all(
      [...byOwner(judged)].map(
        async ([dea, instances]) => [dea, await releaseDea(redis, { dea, lateBeforeMs, instances })] as const,
      ),
    ),
  );
  const granted = claims.filter((claim) => {
    if (isOwn(claim)) return true;
    if (claim.changesIdentity) return lost.has(claim.owner) && states.get(claim.owner) === 'released';
    const state = states.get(claim.owner);
    if (state === 'released') return true;
    const { lastListedMs } = claim;
    return lastListedMs !== undefined && Number(state) - lastListedMs > leftOutMs(settings);
  });
  const lateAtMs = [...states.values()].flatMap((state) =>
    state === 'released' ? [] : [Math.ceil(state + lateAfterMs(settings)) + 1],
  );
  return { granted, ...(lateAtMs.length > 0 && { retryAtMs: Math.min(...lateAtMs) }) };
}

/** Of the owners whose instances would get another index or version, those that are lost, without a hold that keeps that back. */
async function lostOwners(
  { client, keys }: RedisConnections,
  claims: readonly Claim[],
  holds: SilenceHolds,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): Promise<ReadonlySet<string>> {
  const owners = [...byOwner(claims.filter(({ changesIdentity }) => changesIdentity)).keys()];
  if (owners.length === 0) return new Set();
  const lastHeartbeats = await client.zmscore(keys.deasLastHeartbeat, ...owners);
  const isLost = (dea: string, at: number) => {
    const lastHeartbeatMs = lastHeartbeats[at];
    if (lastHeartbeatMs == null || holds.operatorHolds?.some((hold) => hold.dea === dea)) return false;
    return isLossEstablished({ dea, lastHeartbeatMs: Number(lastHeartbeatMs) }, holds, settings);
  };
  return new Set(owners.filter(isLost));
}

/**
 * Releases the owners again after their claims were applied. An owner's heartbeat may have arrived meanwhile: it found the record as it
 * was before, so it counts as stored, and the next one must be stored whole.
 */
export async function releaseOwners(
  redis: RedisConnections,
  { releasedList }: Pick<ClaimsAt, 'releasedList'>,
  granted: readonly Claim[],
): Promise<void> {
  const isOwn = (claim: Claim) => releasedList.includes(`\n${lineOfInstance(claim)}`);
  await Promise.all(
    [...byOwner(granted)].map(([dea, claims]) => {
      // What the first owner got back stays its own.
      const instances = claims.filter((claim) => !isOwn(claim));
      return releaseDea(redis, { dea, lateBeforeMs: Number.POSITIVE_INFINITY, instances });
    }),
  );
}

function byOwner(claims: readonly Claim[]): Map<string, Claim[]> {
  const owners = new Map<string, Claim[]>();
  for (const claim of claims) {
    const same = owners.get(claim.owner);
    if (same === undefined) owners.set(claim.owner, [claim]);
    else same.push(claim);
  }
  return owners;
}
