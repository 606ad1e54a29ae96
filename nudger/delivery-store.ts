import { LOG_LENGTH, type LogEntry } from '../common/model/decision-log.ts';
import type { Droplet, Holds, Outcome } from '../common/model/droplet.ts';
import type { Deas } from '../common/policy/liveness.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import type { Clock } from '../common/redis/clock.ts';
import type { RedisConnections } from '../common/redis/connections.ts';
import { readHolds } from '../common/redis/holds.ts';
import { forOneCall, readWithDeas } from '../common/redis/readers.ts';
import { batched } from './batched.ts';

/** Droplets of one call: Redis does nothing else meanwhile, so some milliseconds at most. */
const AT_ONCE = 100;

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
}

/** What a delivery is checked on; undefined for a droplet that there is not. */
export interface RecheckInput {
  droplet: Droplet | undefined;
  /** At least the DEAs of its instances. */
  deas: Deas;
  holds: Holds;
  /** By which all of it is to be judged. */
  nowMs: number;
}

/** What became of a decision, on the record as it was checked. */
export interface Settlement {
  droplet: Pick<Droplet, 'id' | 'rev'>;
  outcome: Outcome;
  entry: LogEntry;
  requeueAtMs: number;
}

/** What deliveries need of Redis; those that leave at the same time share their calls. */
export class DeliveryStore {
  /** A droplet as it is now. @throws Error if its record cannot be read */
  readonly read: (id: string) => Promise<RecheckInput>;
  /**
   * Stores what became of a decision, if the record is still the one that was checked: of all nudgers that may hold
   * the same job one is told true.
   */
  readonly settle: (settlement: Settlement) => Promise<boolean>;

  constructor(options: Options) {
    this.read = batched((ids) => readAll(ids, options), AT_ONCE);
    this.settle = batched((settlements) => settleAll(settlements, options.redis), AT_ONCE);
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
  const { keys, scripts } = redis;
  const results: (boolean | Error)[] = [];
  const calls = forOneCall(
    redis,
    settlements.map(({ droplet }) => droplet.id),
    AT_ONCE,
  );
  await Promise.all(
    calls.map(async (places) => {
      const some = places.map((at) => settlements[at] as Settlement);
      const settled = await scripts.settleDeliveries(
        some.flatMap(({ droplet: { id } }) => {
          const slice = keys.sliceOf(id);
          return [keys.droplet(id), keys.due(slice), keys.decisions(slice)];
        }),
        [
          LOG_LENGTH,
          ...some.flatMap(({ droplet: { id, rev }, outcome, entry, requeueAtMs }) => [
            ...[id, rev, outcome.id, JSON.stringify(outcome), requeueAtMs, JSON.stringify(entry)],
          ]),
        ],
      );
      places.forEach((at, n) => {
        const result = settled[n];
        results[at] = typeof result === 'string' ? new Error(result) : result === 1;
      });
    }),
  );
  return results;
}
