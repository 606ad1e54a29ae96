import type { DeaLiveness, Droplet, Instance } from '../../common/model/droplet.ts';
import { isActiveState, isLiveState } from '../../common/model/instance-states.ts';
import { exitsByInstance, isExitInForce, isLeftOut, isListed } from '../../common/policy/fleet/liveness.ts';
import type { DeaFacts } from '../../common/policy/fleet/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { isWanted } from '../../common/policy/slots/wanted.ts';
import { lateAfterMs } from '../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { delistedDroplets, storedDroplets } from '../../common/redis/fleet/dea-list.ts';
import { readDroplets } from '../../common/redis/scripts/droplets/reads/read-droplets.ts';

/** Droplets in one read. Usually the first droplet has an instance that has not exited. */
const DROPLETS_PER_READ = 20;
/** Droplets of a DEA that are read: ten times what a host can run. */
const MAX_DROPLETS_READ = 1000;

/**
 * Whether an instance on the DEA holds a wanted slot and has not exited since the DEA's last heartbeat. Its latest heartbeat may have
 * left the instance out.
 *
 * Of several instances at a slot the one listed first holds it, unless its DEA was late when the next one was listed. So a DEA that
 * makes up instances at slots that are filled holds none. (When ingest stores a heartbeat it counts in the same way, without the heartbeats of others.)
 *
 * @returns undefined if Redis has lost the DEA's list
 */
export async function holdsWantedSlot(
  redis: RedisConnections,
  dea: Pick<DeaFacts, 'guid' | keyof DeaLiveness>,
  lastHeartbeatOf: ReadonlyMap<string, number>,
  settings: PolicySettings,
): Promise<boolean | undefined> {
  const stored = await storedDroplets(redis, dea.guid);
  if (stored === undefined) return undefined;
  const holdsOneOf = async (ids: readonly string[]): Promise<boolean> => {
    for (let at = 0; at < ids.length; at += DROPLETS_PER_READ) {
      for (const droplet of await readDroplets(redis, ids.slice(at, at + DROPLETS_PER_READ))) {
        if (droplet === undefined || droplet instanceof Error) continue;
        if (holdsSlotOf(droplet, dea, lastHeartbeatOf, settings)) return true;
      }
    }
    return false;
  };
  const listed = [...stored].slice(0, MAX_DROPLETS_READ);
  return (
    (await holdsOneOf(listed)) ||
    holdsOneOf((await delistedDroplets(redis, dea.guid)).slice(0, MAX_DROPLETS_READ))
  );
}

function holdsSlotOf(
  droplet: Droplet,
  dea: Pick<DeaFacts, 'guid' | keyof DeaLiveness>,
  lastHeartbeatOf: ReadonlyMap<string, number>,
  settings: PolicySettings,
): boolean {
  const exits = exitsByInstance(droplet.exits);
  const isAtWantedSlot = ({ state, version, index }: Instance) =>
    isActiveState(state) && version === droplet.desired?.version && isWanted(droplet, index);
  // An evacuated instance holds its slot no more: it is replaced.
  const isEarlier = (other: Instance, than: Instance) =>
    isLiveState(other.state) &&
    other.index === than.index &&
    other.dea !== dea.guid &&
    other.firstListedMs < than.firstListedMs &&
    isAtWantedSlot(other) &&
    isListed(other) &&
    !exits.has(other.guid) &&
    (lastHeartbeatOf.get(other.dea) ?? 0) + lateAfterMs(settings) >= than.firstListedMs;
  return droplet.instances.some((instance) => {
    if (instance.dea !== dea.guid || !isAtWantedSlot(instance)) return false;
    if (!isListed(instance) && !isLeftOut(instance, dea, settings)) return false;
    const exit = exits.get(instance.guid);
    if (exit !== undefined && isExitInForce(exit, dea.lastHeartbeatMs, settings)) return false;
    return !droplet.instances.some((other) => isEarlier(other, instance));
  });
}
