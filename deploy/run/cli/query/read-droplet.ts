import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { readWithDeas } from '../../../../common/redis/readers.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';

/**
 * Reads one droplet with its DEAs; undefined when there is no record.
 *
 * @throws FailedError when its record cannot be read
 */
export async function readDroplet(
  { redis, settings, now }: RedisSession,
  id: string,
): Promise<ObservedDroplet | undefined> {
  const requestedMs = await now();
  const { droplets, deas, nowMs } = await readWithDeas(redis, { nowMs: () => requestedMs }, [id]);
  const [droplet] = droplets;
  if (droplet instanceof Error)
    throw new FailedError(`droplet ${id}: ${droplet.message}`, { cause: droplet });
  if (droplet === undefined) return undefined;
  return { droplet, deas, nowMs, settings: settings.policy };
}
