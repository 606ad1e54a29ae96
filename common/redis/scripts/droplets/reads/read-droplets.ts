import type { Droplet } from '../../../../model/droplet.ts';
import { decodeDroplet } from '../../../records/record-codec.ts';
import { callInChunks, type ShardedAccess } from '../../chunks.ts';
import { decodeList, decodeProblem } from '../../replies.ts';

/** A droplet; an Error if its record cannot be read (see RecordError); undefined if there is none. */
export type ReadDroplet = Droplet | Error | undefined;

/** Droplets of one call. Redis does nothing else meanwhile: for about a millisecond. */
const DROPLETS_PER_CALL = 200;

/** Droplets as they are in Redis now, in the order of `ids`. */
export function readDroplets(redis: ShardedAccess, ids: readonly string[]): Promise<readonly ReadDroplet[]> {
  return callInChunks(redis, ids, DROPLETS_PER_CALL, String, async (chunk) => {
    const records = decodeList(await redis.scripts.run('read_droplets', chunk.map(redis.keys.droplet), []));
    return records.map((record, at) => decodeReadDroplet(chunk[at] as string, record));
  });
}

/** A record as the scripts return it. What somebody edited in one record does not affect the others. */
export function decodeReadDroplet(id: string, record: unknown): ReadDroplet {
  if (record === '') return undefined;
  const problem = decodeProblem(record);
  if (problem !== undefined) return new Error(problem.problem);
  try {
    return decodeDroplet(id, String(record).split('\n'));
  } catch (error) {
    return error as Error;
  }
}
