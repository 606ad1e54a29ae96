/** The data of a DEA's page: the DEA with its instances, running or lost. */

import { absentOf, type Workers } from '../../../common/explain/present/present.ts';
import { silenceStates } from '../../../common/policy/fleet/liveness.ts';
import { isWanted } from '../../../common/policy/slots/wanted.ts';
import { type Snapshot, takeSnapshot } from '../../../common/policy/snapshot.ts';
import { listedDroplets } from '../../../common/redis/fleet/dea-list.ts';
import { decodeLiveness } from '../../../common/redis/fleet/dea-liveness.ts';
import { readHolds } from '../../../common/redis/fleet/holds/holds.ts';
import { deaStateOf } from '../../../common/views/deas.ts';
import { readProcessesView, waitForNudger } from '../../../common/views/read-processes.ts';
import type { LiveSources } from '../live/live-feed.ts';
import { MAX_DROPLETS } from '../silent-deas.ts';
import type { DeaPage, DeaPlace } from '../types.ts';
import { placeOf } from './droplet-page.ts';

/** @returns undefined for a DEA that never sent a heartbeat, or has expired */
export async function readDeaPage(
  { redis, clock, policy, reader }: Pick<LiveSources, 'redis' | 'clock' | 'policy' | 'reader'>,
  dea: string,
): Promise<DeaPage | undefined> {
  const { client, keys } = redis;
  const [lastHeartbeat, count, shutdown, listed, holds, processes] = await Promise.all([
    client.zscore(keys.deasLastHeartbeat, dea),
    client.hget(keys.deasCount, dea),
    client.hget(keys.deasShutdown, dea),
    listedDroplets(redis, dea),
    readHolds(redis, clock, policy),
    readProcessesView(redis, clock.nowMs()),
  ]);
  if (lastHeartbeat === null) return undefined;
  const found = await reader.read([...listed].slice(0, MAX_DROPLETS));
  const { lastHeartbeatMs } = decodeLiveness(lastHeartbeat);
  const workers = waitForNudger(processes);
  const places = found.droplets.flatMap((droplet) =>
    droplet === undefined || droplet instanceof Error
      ? []
      : placesOf(takeSnapshot(droplet, found.deas, holds, found.nowMs, policy), dea, workers),
  );
  return {
    dea,
    nowMs: found.nowMs,
    state: deaStateOf(
      silenceStates(found.nowMs, holds.listeningGaps, policy)(lastHeartbeatMs),
      shutdown !== null,
    ),
    lastHeartbeatMs,
    ...(shutdown === null ? {} : { shutdownMs: Number(shutdown) }),
    instances: Number(count ?? 0),
    places: places.sort(worseFirst),
    unread: Math.max(0, listed.size - MAX_DROPLETS),
  };
}

function placesOf(snapshot: Snapshot, dea: string, workers: Workers): DeaPlace[] {
  const { droplet, deas, effectiveStates, live } = snapshot;
  return droplet.instances
    .filter((instance) => instance.dea === dea && instance.lastListedMs === undefined)
    .map((instance): DeaPlace => {
      const { index, version } = instance;
      const effective = effectiveStates.get(instance) ?? 'NONE';
      const place = { ...placeOf(instance, deas), droplet: droplet.id, effective };
      if (effective !== 'NONE' || instance.state === 'CRASHED') return place;
      if (version !== droplet.desired?.version || !isWanted(droplet, index)) return place;
      const [elsewhere] = live.get(index) ?? [];
      return elsewhere === undefined
        ? { ...place, absent: absentOf(snapshot, index, workers) }
        : { ...place, elsewhere: elsewhere.dea };
    });
}

function worseFirst(a: DeaPlace, b: DeaPlace): number {
  const rank = ({ absent }: DeaPlace) => (absent === undefined ? 1 : 0);
  return rank(a) - rank(b) || (a.droplet < b.droplet ? -1 : a.droplet > b.droplet ? 1 : a.index - b.index);
}
