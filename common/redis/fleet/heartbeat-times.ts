import type { Instance } from '../../model/droplet.ts';
import { isActiveState } from '../../model/instance-states.ts';
import type { PolicySettings } from '../../policy/settings.ts';
import { instanceExpiryMs } from '../../policy/thresholds.ts';
import type { RedisConnections } from '../connection/connections.ts';
import { type DropletReads, isRead } from '../records/readers.ts';
import { RESTORED_MS } from './dea-liveness.ts';

/**
 * Gives DEAs whose last heartbeat Redis has lost the time of the read as their last one, in Redis and in `deas`. So such a DEA counts as
 * lost only after `droplet_lost` of listening, like every other. It is marked, because it shows no heartbeat.
 *
 * A DEA that expires is forgotten after its instances (`instanceExpiryMs`), so one that a record still names has lost its time.
 *
 * @returns these DEAs
 */
export async function restoreHeartbeatTimes(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  { droplets, deas, nowMs }: DropletReads,
  policy: Pick<PolicySettings, 'dropletLostMs'>,
): Promise<string[]> {
  const lost = new Set<string>();
  for (const droplet of droplets) {
    if (!isRead(droplet)) continue;
    for (const instance of droplet.instances) {
      if (!deas.has(instance.dea) && mayRun(instance, nowMs - instanceExpiryMs(policy)))
        lost.add(instance.dea);
    }
  }
  if (lost.size === 0) return [];
  for (const dea of lost) deas.set(dea, { lastHeartbeatMs: nowMs, isRestored: true });
  const times = [...lost].flatMap((dea) => [nowMs + RESTORED_MS, dea]);
  await client.zadd(keys.deasLastHeartbeat, 'NX', ...times);
  return [...lost];
}

/** One that its DEA lists no more may be one that its latest heartbeats only left out. */
function mayRun({ state, lastListedMs }: Instance, forgottenBeforeMs: number): boolean {
  return isActiveState(state) && (lastListedMs === undefined || lastListedMs >= forgottenBeforeMs);
}
