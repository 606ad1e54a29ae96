import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { lostBefore } from '../../../../common/policy/fleet/liveness.ts';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { readWithDeas } from '../../../../common/redis/records/readers.ts';
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
  const clock = { nowMs: () => requestedMs };
  const [{ droplets, deas, nowMs }, { listeningGaps }] = await Promise.all([
    readWithDeas(redis, clock, [id]),
    readHolds(redis, clock, settings.policy),
  ]);
  const [droplet] = droplets;
  if (droplet instanceof Error)
    throw new FailedError(`droplet ${id}: ${droplet.message}`, { cause: droplet });
  if (droplet === undefined) return undefined;
  const lostBeforeMs = lostBefore(nowMs, listeningGaps, settings.policy);
  return { droplet, deas, nowMs, lostBeforeMs, settings: settings.policy };
}
