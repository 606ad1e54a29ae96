import { decodeRunning, type RunningDroplet } from '../../../records/running-codec.ts';
import { callInChunks, type ShardedAccess } from '../../chunks.ts';

/** `whole`: the droplet has an exit, or something that only its whole record explains; undefined: there is no such droplet. */
export type ReadRunning = RunningDroplet | 'whole' | undefined;

/** Droplets of one call. Redis does nothing else meanwhile: for about a millisecond. */
const DROPLETS_PER_CALL = 250;

/** What is wanted of droplets and what runs, in the order of `ids`, for about half the cost of their records. */
export function readRunning(redis: ShardedAccess, ids: readonly string[]): Promise<readonly ReadRunning[]> {
  return callInChunks(redis, ids, DROPLETS_PER_CALL, String, async (chunk) => {
    const reply = await redis.scripts.run('read_running', chunk.map(redis.keys.droplet), []);
    const records = String(reply).split('\n\n');
    // Somebody has edited a value so that it contains an empty line.
    if (records.length !== chunk.length) return chunk.map(() => 'whole');
    return records.map((record, at) => read(chunk[at] as string, record));
  });
}

function read(id: string, record: string): ReadRunning {
  if (record === '') return undefined;
  try {
    return decodeRunning(id, record) ?? 'whole';
  } catch {
    return 'whole'; // the read of the whole record reports what is wrong with it
  }
}
