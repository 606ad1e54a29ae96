/** Bounds of what heartbeats may create, so that a DEA that makes up instances, droplets or DEAs fills neither Redis nor a process. */
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { PIECES } from '../../../common/redis/keys.ts';
import { expireDea } from '../../../common/redis/scripts/deas/expire-dea.ts';

/** Droplets in a piece of the index before the first pass: four million with 256 slices. */
const MAX_IN_PIECE_UNLISTED = 1024;
/** In a piece beyond four times its share of what the latest pass listed. A small deployment has room for 260,000 apps. */
const SPARE_IN_PIECE = 64;
/** How long a count that was read is used (ms). */
const REREAD_MS = 10_000;

/** Instances of one droplet that a DEA may list: ten times what a host can run. */
export const MAX_INSTANCES_OF_DROPLET = 1000;

const known = new WeakMap<object, { limit: number; readAtMs: number }>();

/**
 * How many droplets a piece of the index may have for a heartbeat to create one. A pass creates what it lists, so this bounds only what
 * no pass has listed.
 */
export async function maxDropletsInPiece({ client, keys }: RedisConnections): Promise<number> {
  const cached = known.get(keys);
  const nowMs = performance.now();
  if (cached !== undefined && nowMs - cached.readAtMs < REREAD_MS) return cached.limit;
  const listed = Number((await client.hget(keys.syncState, 'listed')) ?? Number.NaN);
  const share = Math.ceil((4 * listed) / (keys.slices * PIECES));
  const limit = listed >= 0 ? SPARE_IN_PIECE + share : MAX_IN_PIECE_UNLISTED;
  known.set(keys, { limit, readAtMs: nowMs });
  return limit;
}

/** DEAs among which one is sought that gives way: those that were silent for longest. */
const CANDIDATES = 100;

/** Too many DEAs are known: expires one that holds no wanted slot, of those that were silent for longest. @returns whether there is one */
export async function expireSpareDea(redis: RedisConnections): Promise<boolean> {
  const { client, keys } = redis;
  const oldest = await client.zrange(keys.deasLastHeartbeat, '0', String(CANDIDATES - 1));
  if (oldest.length === 0) return false;
  const wanted = await client.hmget(keys.deasWanted, ...oldest);
  const isEmpty = (_: string, at: number) => wanted[at] !== null && !(Number(wanted[at]) > 0);
  // A count that Redis has lost may have been of a DEA that runs something.
  const spare = oldest.find(isEmpty) ?? oldest.find((_, at) => wanted[at] === null);
  if (spare === undefined) return false;
  await expireDea(redis, { dea: spare, beforeMs: Number.MAX_SAFE_INTEGER });
  return true;
}
