import type { Queue } from 'bullmq';
import type { PolicySettings } from '../policy/settings.ts';
import { fullPassEveryMs } from '../policy/thresholds.ts';
import type { Clock } from '../redis/clock.ts';
import type { RedisConnections } from '../redis/connection/connections.ts';
import { removeLostDeduplication } from './lost-jobs.ts';

/** BullMQ deduplicates all sync jobs by this id: at most one waits, beside at most one that runs. */
const PASS = { id: 'pass' };

/**
 * Requests a bulk sync at once (policy: `droplet.updated`, and an instance of an unknown version). Many requests together start one pass; a request during a pass is
 * followed by exactly one more pass.
 *
 * The request is also kept in Redis, so that it survives a lost job.
 *
 * @param queue the queue `sync`
 */
export async function requestSync(
  queue: Queue,
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  clock: Clock,
): Promise<void> {
  // Before the job, so that the pass which the job starts begins after this time and counts as the requested one.
  await client.hset(keys.syncState, 'requested', clock.nowMs());
  await queue.add('bulk sync: requested', {}, { deduplication: { ...PASS, keepLastIfActive: true } });
}

/** Requests a pass at once, unless one has been requested since `sinceMs`. */
export async function requestSyncSince(
  queue: Queue,
  redis: Pick<RedisConnections, 'client' | 'keys'>,
  clock: Clock,
  sinceMs: number,
): Promise<void> {
  const requested = await redis.client.hget(redis.keys.syncState, 'requested');
  if (!(Number(requested) >= sinceMs)) await requestSync(queue, redis, clock);
}

/** Requests a pass that writes every entry, at once, unless one was requested lately (`fullPassEveryMs`). */
export async function requestFullSync(
  queue: Queue,
  redis: Pick<RedisConnections, 'client' | 'keys'>,
  clock: Clock,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): Promise<void> {
  if (await markFullSyncRequested(redis, clock, settings)) await requestSync(queue, redis, clock);
}

/** Makes the next pass a full one, unless one was requested lately (`fullPassEveryMs`). @returns whether it was not */
export async function markFullSyncRequested(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  clock: Clock,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): Promise<boolean> {
  const nowMs = clock.nowMs();
  const requestedMs = Number(await client.hget(keys.syncState, 'full_requested'));
  // A time in the future was edited.
  if (requestedMs > nowMs - fullPassEveryMs(settings) && requestedMs <= nowMs) return false;
  await client.hset(keys.syncState, 'full_requested', nowMs);
  return true;
}

/** Requests a pass because one is due: does nothing if one waits or runs. */
export async function requestDueSync(queue: Queue): Promise<void> {
  await removeLostDeduplication(queue, PASS.id);
  await queue.add('bulk sync: due', {}, { deduplication: PASS });
}
