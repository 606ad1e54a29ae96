import type { RedisConnections } from '../../common/redis/connections.ts';
import { forOneCall } from '../../common/redis/readers.ts';
import type { Evaluation } from './evaluation.ts';

/** A few starts leave in a moment: a call for them would cost more than a look that nearly always finds nothing to do. */
const MANY = 10;
/** Droplets of one call of the script, which takes a few microseconds for each. */
const AT_ONCE = 500;

type Redis = Pick<RedisConnections, 'isCluster' | 'keys' | 'scripts'>;

/**
 * After the jobs of these looks were added, or found to be there: looks at them later than was stored.
 *
 * Starts are stored before their jobs are added, and due soon, should whoever stored them not live to add the jobs. Once all
 * have theirs the next look may be later: looking after many that wait would be most of the work of waiting.
 *
 * Not in a cluster, where the queue and the record are on different nodes: one can lose what the other keeps.
 */
export async function postpone(evaluations: readonly Evaluation[], redis: Redis): Promise<void> {
  if (redis.isCluster) return;
  const { keys, scripts } = redis;
  const later = evaluations.filter(({ decided }) => decided.requeueOnceEnqueuedMs !== undefined);
  if (later.length < MANY) return;
  const calls = forOneCall(
    redis,
    later.map(({ droplet }) => droplet.id),
    AT_ONCE,
  );
  await Promise.all(
    calls.map((places) => {
      const some = places.map((at) => later[at] as Evaluation);
      return scripts.postponeReconciles(
        some.flatMap(({ droplet: { id } }) => [keys.droplet(id), keys.due(keys.sliceOf(id))]),
        some.flatMap(({ droplet: { id, rev }, decided }) => [
          ...[id, decided.changed ? rev + 1 : rev, decided.requeueAtMs ?? ''],
          decided.requeueOnceEnqueuedMs ?? '',
        ]),
      );
    }),
  );
}
