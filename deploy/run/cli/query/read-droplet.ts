import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { readWithDeas } from '../../../../common/redis/readers.ts';
import type { Query } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';

/**
 * One droplet as it is now; undefined if there is no record.
 *
 * @throws FailedError when its record cannot be read
 */
export async function viewOf(
  { redis, settings, now }: Query,
  id: string,
): Promise<ObservedDroplet | undefined> {
  const askedMs = await now();
  const { droplets, deas, nowMs } = await readWithDeas(redis, { nowMs: () => askedMs }, [id]);
  const [droplet] = droplets;
  if (droplet instanceof Error)
    throw new FailedError(`droplet ${id}: ${droplet.message}`, { cause: droplet });
  if (droplet === undefined) return undefined;
  return { droplet, deas, nowMs, settings: settings.policy };
}
