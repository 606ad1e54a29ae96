import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import {
  type Postponement,
  postponeReconciles,
} from '../../common/redis/scripts/droplets/postpone-reconciles.ts';
import type { Evaluation } from './evaluation.ts';

/** Fewer starts are sent in a moment: postponing them would cost more than their next reconcile. */
const MIN_DROPLETS = 10;

type Redis = Pick<RedisConnections, 'isCluster' | 'keys' | 'scripts'>;

/**
 * Moves the due time of droplets to `requeueOnceEnqueuedMs`. Call it when the jobs of their starts are in the queue.
 *
 * A start is stored before its job is added, and its droplet is due again soon in case the process dies in between.
 * Once the jobs are in the queue that early reconcile is not needed. With many waiting starts it would be most of the
 * analyzer's work.
 *
 * In a cluster nothing is moved: the queue and the record are on different nodes, so one may lose what the other keeps.
 */
export async function postpone(evaluations: readonly Evaluation[], redis: Redis): Promise<void> {
  if (redis.isCluster) return;
  const later = evaluations.filter(({ decided }) => decided.requeueOnceEnqueuedMs !== undefined);
  if (later.length < MIN_DROPLETS) return;
  await postponeReconciles(redis, later.flatMap(postponementOf));
}

function postponementOf({ droplet: { id, rev }, decided }: Evaluation): Postponement[] {
  const { changed, requeueAtMs: dueMs, requeueOnceEnqueuedMs: laterMs } = decided;
  if (dueMs === undefined || laterMs === undefined) return [];
  return [{ id, rev: changed ? rev + 1 : rev, dueMs, laterMs }];
}
