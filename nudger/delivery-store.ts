import type { Droplet, Holds } from '../common/model/droplet.ts';
import type { Deas } from '../common/policy/liveness.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import type { Clock } from '../common/redis/clock.ts';
import type { RedisConnections } from '../common/redis/connections.ts';
import { readHolds } from '../common/redis/holds.ts';
import { readWithDeas } from '../common/redis/readers.ts';
import { type Settlement, settleDeliveries } from '../common/redis/scripts/droplets/settle-deliveries.ts';
import { batched } from './batched.ts';

/** Droplets of one script call. A call blocks Redis, so it is kept to some milliseconds. */
const BATCH_SIZE = 100;

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
}

/** What the recheck of a delivery reads. */
export interface RecheckInput {
  /** Undefined: there is no record. */
  droplet: Droplet | undefined;
  /** At least the DEAs of its instances. */
  deas: Deas;
  holds: Holds;
  /** The time of the read (epoch ms on Redis's clock). */
  nowMs: number;
}

/** Reads and settles deliveries. Concurrent deliveries share their Redis calls. */
export class DeliveryStore {
  /** Reads a droplet with its DEAs and the holds. @throws Error if its record cannot be read */
  readonly read: (id: string) => Promise<RecheckInput>;
  /**
   * Stores the outcome of a decision if the record still has the revision that was checked. Of all nudgers that
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
): Promise<(RecheckInput | Error)[]> {
  const [{ droplets, deas, nowMs }, holds] = await Promise.all([
    readWithDeas(redis, clock, ids),
    readHolds(redis, clock, policy),
  ]);
  return droplets.map((droplet) => (droplet instanceof Error ? droplet : { droplet, deas, holds, nowMs }));
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
