import type { DeaLiveness, Droplet } from '../../model/droplet.ts';
import type { Clock } from '../clock.ts';
import type { RedisConnections } from '../connection/connections.ts';
import { decodeLiveness } from '../fleet/dea-liveness.ts';
import { PIECES } from '../keys.ts';
import { type ReadDroplet, readDroplets } from '../scripts/droplets/reads/read-droplets.ts';
import { readDropletsWithDeas } from '../scripts/droplets/reads/read-droplets-with-deas.ts';

/** Droplets, and what the liveness of their instances depends on, at one moment. */
export interface DropletReads {
  /** In the order that was asked for. */
  droplets: readonly ReadDroplet[];
  /** Of all DEAs that the droplets' instances are on, those that are known. */
  deas: Map<string, DeaLiveness>;
  /**
   * The time by which liveness is evaluated (ms). It is measured before the heartbeats are read, which may so be newer, never
   * older: no instance counts as lost too early.
   */
  nowMs: number;
}

/** Reading more droplets than this in one round trip costs Redis nearly twice as much as in two. */
const ONE_ROUND_TRIP = 20;

/** Reads droplets to evaluate them at once: a few in one round trip where Redis is no cluster, else in two. */
export async function readWithDeas(
  redis: RedisConnections,
  clock: Pick<Clock, 'nowMs'>,
  ids: readonly string[],
): Promise<DropletReads> {
  if (redis.isCluster || ids.length > ONE_ROUND_TRIP) {
    const droplets = await readDroplets(redis, ids);
    const nowMs = clock.nowMs();
    return { droplets, nowMs, deas: await readDeas(redis, droplets.filter(isRead)) };
  }
  const nowMs = clock.nowMs();
  return { nowMs, ...(await readDropletsWithDeas(redis, ids)) };
}

/** Whether there is a record, and it could be read. */
export function isRead(droplet: ReadDroplet): droplet is Droplet {
  return droplet !== undefined && !(droplet instanceof Error);
}

/** The ids of a slice's droplets. Those that are added or removed meanwhile may be among them or not. */
export async function readIds({ client, keys }: RedisConnections, slice: number): Promise<string[]> {
  const pieces = Array.from({ length: PIECES }, (_, piece) => client.hkeys(keys.index(slice, piece)));
  return (await Promise.all(pieces)).flat();
}

/** How many droplets a slice has. A piece whose key has the wrong type counts as empty: `readIds` fails on it. */
export async function countIds({ client, keys }: RedisConnections, slice: number): Promise<number> {
  const pieces = Array.from({ length: PIECES }, (_, piece) => client.hlen(keys.index(slice, piece)));
  const counts = await Promise.allSettled(pieces);
  return counts.reduce((sum, count) => sum + (count.status === 'fulfilled' ? count.value : 0), 0);
}

/**
 * The latest heartbeats of the DEAs of these droplets; a DEA that never sent one, or has expired, is not in the map. The
 * heartbeat before matters only beside a second instance (policy: `duplicate`), so it is read only for such DEAs.
 */
export async function readDeas(
  { client, keys }: RedisConnections,
  droplets: Iterable<Droplet>,
): Promise<Map<string, DeaLiveness>> {
  const all = new Set<string>();
  const withPrevious = new Set<string>();
  for (const { instances } of droplets) {
    for (const { dea, lastListedMs } of instances) {
      all.add(dea);
      if (instances.length > 1 || lastListedMs !== undefined) withPrevious.add(dea);
    }
  }
  if (all.size === 0) return new Map();
  // Those whose previous heartbeat is read come first, so both replies have them at the same places.
  const deas = [...withPrevious, ...[...all].filter((dea) => !withPrevious.has(dea))];
  const [last, previous] = await Promise.all([
    client.zmscore(keys.deasLastHeartbeat, ...deas),
    withPrevious.size === 0 ? [] : client.zmscore(keys.deasPreviousHeartbeat, ...withPrevious),
  ]);
  const liveness = new Map<string, DeaLiveness>();
  deas.forEach((dea, at) => {
    const lastMs = last[at];
    if (lastMs == null) return;
    liveness.set(dea, decodeLiveness(lastMs, previous[at]));
  });
  return liveness;
}
