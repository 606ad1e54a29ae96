import { keyTypesEveryMs } from '../../../common/policy/thresholds.ts';
import { typedQueueKeys } from '../../../common/queues/queue-keys.ts';
import { problemLevel } from '../../../common/redis/connection/connection-error.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { type TypedKey, typedItemKeys, typedKeys } from '../../../common/redis/key-types.ts';
import { reportRepair } from '../../../common/redis/records/repairs.ts';
import { removeMistyped } from '../../../common/redis/scripts/fleet/remove-mistyped.ts';
import type { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../../common/runtime/log/log.ts';
import { PeriodicTask } from '../../../common/runtime/tasks/periodic-task.ts';
import type { AnalyzerMetrics } from '../../metrics.ts';

interface Options {
  redis: RedisConnections;
  limited: RateLimitedLog;
  metrics: Pick<AnalyzerMetrics, 'repairs'>;
}

/** Keys whose types are read at once. */
const AT_ONCE = 500;

/**
 * Removes the keys that somebody gave another type. Every write to such a key fails, so nothing else would end it; without it, it is
 * built again as any key that was lost. The records of droplets are checked where they are read.
 *
 * Nothing else of Redis is needed for this, because any other key may be the one.
 *
 * @returns the keys that were removed
 */
export async function repairKeyTypes({ redis, limited, metrics }: Options): Promise<string[]> {
  const { client, keys } = redis;
  const removed = await removeWrong(redis, [...typedKeys(keys), ...typedQueueKeys(keys.queuePrefix)]);
  const [deas, pages] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1'),
    client.hget(keys.syncState, 'pages'),
  ]);
  const count = /^\d{1,6}$/.test(pages ?? '') ? Number(pages) : 0;
  removed.push(...(await removeWrong(redis, typedItemKeys(keys, deas, count))));
  reportRepair({ repairs: metrics.repairs, limited }, 'key_type', removed);
  return removed;
}

async function removeWrong(redis: RedisConnections, typed: readonly TypedKey[]): Promise<string[]> {
  const removed: string[] = [];
  for (let at = 0; at < typed.length; at += AT_ONCE) {
    const some = typed.slice(at, at + AT_ONCE);
    const types = await Promise.all(some.map(([key]) => redis.client.type(key)));
    const wrong = some.filter(([, type], n) => types[n] !== type && types[n] !== 'none');
    for (const [key, type] of wrong) if (await removeMistyped(redis, key, type)) removed.push(key);
  }
  return removed;
}

/**
 * Checks at once, and now and then until the process stops. At once because an analyzer cannot start its cron while a key of it has
 * another type, and without an analyzer nothing would end that.
 */
export async function watchKeyTypes({
  log,
  lifecycle,
  policy,
  ...options
}: Omit<Options, 'limited'> & {
  log: Logger;
  lifecycle: Lifecycle;
  policy: { dropletLostMs: number };
}): Promise<void> {
  const limited = createRateLimit(log);
  const check = async () => {
    try {
      await repairKeyTypes({ ...options, limited });
    } catch (error) {
      log[problemLevel(error)](
        { event: 'key_types_not_checked', err: error },
        'types of keys not checked; retrying',
      );
    }
  };
  await check();
  const task = new PeriodicTask(keyTypesEveryMs(policy), check);
  lifecycle.onStop('types of keys', () => task.cancel());
}
