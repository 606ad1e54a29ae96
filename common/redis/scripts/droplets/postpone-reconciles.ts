import { chunksForCalls, type ShardedAccess } from '../chunks.ts';

/** A droplet that is due, and when it is to be due instead. */
export interface Postponement {
  id: string;
  /** Revision of its record. */
  rev: number;
  dueMs: number;
  laterMs: number;
}

/** Droplets of one call, which takes some microseconds for each. */
const DROPLETS_PER_CALL = 500;

/** Makes droplets due later than they were stored to be; not those whose record or due time has changed since. */
export async function postponeReconciles(
  redis: ShardedAccess,
  postponements: readonly Postponement[],
): Promise<void> {
  const { keys, scripts } = redis;
  await Promise.all(
    chunksForCalls(redis, postponements, DROPLETS_PER_CALL, ({ id }) => id).map((chunk) =>
      scripts.run(
        'postpone_reconciles',
        chunk.flatMap(({ id }) => [keys.droplet(id), keys.due(keys.sliceOf(id))]),
        chunk.flatMap(({ id, rev, dueMs, laterMs }) => [id, rev, dueMs, laterMs]),
      ),
    ),
  );
}
