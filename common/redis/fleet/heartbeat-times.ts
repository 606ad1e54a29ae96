import type { Instance } from '../../model/droplet.ts';
import { isActiveState } from '../../model/instance-states.ts';
import type { RedisConnections } from '../connection/connections.ts';
import { type DropletReads, isRead } from '../records/readers.ts';

/**
 * Gives DEAs whose last heartbeat Redis has lost the time of the read as their last one, in Redis and in `deas`. So such a DEA counts as
 * lost only after `droplet_lost` of listening, like every other.
 *
 * A DEA that expires is forgotten after its instances (`instanceExpiryMs`), so one that a record still names has lost its time.
 *
 * @returns these DEAs
 */
export async function restoreHeartbeatTimes(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  { droplets, deas, nowMs }: DropletReads,
): Promise<string[]> {
  const lost = new Set<string>();
  for (const droplet of droplets) {
    if (!isRead(droplet)) continue;
    for (const instance of droplet.instances) {
      if (!deas.has(instance.dea) && mayRun(instance)) lost.add(instance.dea);
    }
  }
  if (lost.size === 0) return [];
  for (const dea of lost) deas.set(dea, { lastHeartbeatMs: nowMs });
  await client.zadd(keys.deasLastHeartbeat, 'NX', ...[...lost].flatMap((dea) => [nowMs, dea]));
  return [...lost];
}

function mayRun({ state, lastListedMs }: Instance): boolean {
  return lastListedMs === undefined && isActiveState(state);
}
