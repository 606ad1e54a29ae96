import type { Droplet } from '../../../../model/droplet.ts';
import { FIELD } from '../../../keys.ts';
import { decodeDroplet } from '../../../records/record-codec.ts';
import { RecordError, UnreadableRecord } from '../../../records/record-error.ts';
import { callInChunks, type ShardedAccess } from '../../chunks.ts';
import { decodeList, decodeProblem } from '../../replies.ts';

/** A droplet, or undefined if there is none. */
export type ReadDroplet = Droplet | UnreadableRecord | undefined;

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
  if (problem !== undefined) return new UnreadableRecord(problem.problem, undefined);
  const fields = String(record).split('\n');
  try {
    return decodeDroplet(id, fields);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return new UnreadableRecord(error.message, revisionIn(fields), { cause: error });
  }
}

function revisionIn(fields: readonly string[]): string | undefined {
  const at = fields.findIndex((field, n) => n % 2 === 0 && field === FIELD.rev);
  return at < 0 ? undefined : fields[at + 1];
}
