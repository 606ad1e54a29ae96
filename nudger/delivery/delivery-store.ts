import { Recheck } from '../../common/policy/recheck.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { restoreHeartbeatTimes } from '../../common/redis/fleet/heartbeat-times.ts';
import { readHolds } from '../../common/redis/fleet/holds/holds.ts';
import { isRead, readWithDeas } from '../../common/redis/records/readers.ts';
import { type Settlement, settleDeliveries } from '../../common/redis/scripts/droplets/settle-deliveries.ts';
import { batched } from './batched.ts';

/** Deliveries of one script call. A call blocks Redis, so it is kept to some milliseconds. */
const BATCH_SIZE = 100;

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
}

/** Reads and settles deliveries. Concurrent deliveries share their Redis calls. */
export class DeliveryStore {
  /**
   * Reads a droplet for the recheck of its deliveries; those of one batch share the read. Undefined: there is no record.
   *
   * @throws Error if its record cannot be read
   */
  readonly read: (id: string) => Promise<Recheck | undefined>;
  /**
   * Stores the outcome of a decision if nothing but other outcomes has changed since it was checked. Of all nudgers that
   * process the same job, exactly one gets true.
   */
  readonly settle: (settlement: Settlement) => Promise<boolean>;

  constructor(options: Options) {
    this.read = batched((ids) => readAll(ids, options), BATCH_SIZE);
    this.settle = batched((settlements) => settleAll(settlements, options.redis), BATCH_SIZE);
  }
}

async function readAll(
  ids: readonly string[],
  { redis, clock, policy }: Options,
): Promise<(Recheck | undefined | Error)[]> {
  const distinct = [...new Set(ids)];
  const [reads, holds] = await Promise.all([
    readWithDeas(redis, clock, distinct),
    readHolds(redis, clock, policy),
  ]);
  await restoreHeartbeatTimes(redis, reads, policy);
  const { droplets, deas, nowMs } = reads;
  const rechecks = new Map(
    distinct.map((id, at) => {
      const droplet = droplets[at];
      return [id, isRead(droplet) ? new Recheck(droplet, deas, holds, nowMs, policy) : droplet] as const;
    }),
  );
  return ids.map((id) => rechecks.get(id));
}

async function settleAll(
  settlements: readonly Settlement[],
  redis: RedisConnections,
): Promise<(boolean | Error)[]> {
  const results = await settleDeliveries(redis, settlements);
  return results.map((result) =>
    typeof result === 'string' ? result === 'settled' : new Error(result.problem),
  );
}
