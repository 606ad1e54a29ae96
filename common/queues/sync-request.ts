import type { Queue } from 'bullmq';
import type { Clock } from '../redis/clock.ts';
import type { RedisConnections } from '../redis/connections.ts';

/** All passes of the bulk sync are one to BullMQ: at most one waits, beside at most one that runs. */
const PASS = { id: 'pass' };

/**
 * Asks for a bulk sync at once (policy: `droplet.updated`). Many requests together ask for one; one that comes
 * while a pass runs is followed by exactly one more.
 *
 * That a pass is wanted is also kept in Redis, so that it is noticed when the job is lost.
 *
 * @param queue the queue `sync`
 */
export async function requestSync(
  queue: Queue,
  { client, keys }: RedisConnections,
  clock: Clock,
): Promise<void> {
  // Before the job: a pass that begins on it begins after this time, and so is the one that was wanted.
  await client.hset(keys.syncState, 'wanted', clock.nowMs());
  await queue.add(
    'bulk sync: asked for by droplet.updated',
    {},
    { deduplication: { ...PASS, keepLastIfActive: true } },
  );
}

/** Asks for a pass because it is time for one: does nothing if one waits or runs. */
export async function requestDueSync(queue: Queue): Promise<void> {
  await queue.add('bulk sync: it is time for one', {}, { deduplication: PASS });
}
