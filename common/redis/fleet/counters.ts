import type { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../runtime/log/log.ts';
import { PeriodicTask } from '../../runtime/tasks/periodic-task.ts';
import { singleFlight } from '../../runtime/tasks/single-flight.ts';
import { problemLevel } from '../connection/connection-error.ts';
import type { RedisConnections } from '../connection/connections.ts';

/** Messages that the whole deployment has received or sent, by their names in `/varz`. */
export const COUNTERS = [
  'heartbeat_msgs_received',
  'droplet_exited_msgs_received',
  'droplet_updated_msgs_received',
  'healthmanager_status_msgs_received',
  'healthmanager_health_request_msgs_received',
  'healthmanager_droplet_request_msgs_received',
  'health_start_messages_sent',
  'health_stop_messages_sent',
] as const;

export type CounterName = (typeof COUNTERS)[number];

const FLUSH_EVERY_MS = 1_000;

interface Options {
  redis: RedisConnections;
  log: Logger;
  /** It stores the last counts at the stop, so create the counters before what increments them. */
  lifecycle: Lifecycle;
}

/**
 * Counters over all copies of all processes, kept in Redis. An increment is an addition in memory; once a second, and at the
 * stop, the sums are added in Redis. They wait in memory while Redis is not reachable, and are lost if the process is killed.
 */
export class FleetCounters {
  readonly #redis: RedisConnections;
  readonly #limited: RateLimitedLog;
  #pending = new Map<CounterName, number>();
  readonly #store = singleFlight(() => this.#storePending());

  constructor({ redis, log, lifecycle }: Options) {
    this.#redis = redis;
    this.#limited = createRateLimit(log);
    const flushes = new PeriodicTask(FLUSH_EVERY_MS, () => this.flush());
    lifecycle.onStop('fleet counters', async () => {
      flushes.cancel();
      await this.flush();
    });
  }

  increment(name: CounterName, by = 1): void {
    this.#pending.set(name, (this.#pending.get(name) ?? 0) + by);
  }

  /** Resolves when all earlier increments are stored, or have failed and wait for the next flush. */
  async flush(): Promise<void> {
    await this.#store.idle(); // a run in progress may lack the latest counts
    await this.#store();
  }

  async #storePending(): Promise<void> {
    const { client, keys } = this.#redis;
    const counts = this.#pending;
    this.#pending = new Map();
    const stored = [...counts].map(async ([name, by]) => {
      try {
        await client.hincrby(keys.counters, name, by);
      } catch (error) {
        this.increment(name, by);
        this.#limited[problemLevel(error)](
          'not stored',
          { event: 'counters_not_stored', err: error },
          'counters not stored; retrying',
        );
      }
    });
    await Promise.all(stored);
  }
}

/** The counts of the whole deployment since its Redis was set up. */
export async function readCounters({ client, keys }: RedisConnections): Promise<Record<CounterName, number>> {
  const counts = await client.hmget(keys.counters, ...COUNTERS);
  return Object.fromEntries(COUNTERS.map((name, at) => [name, Number(counts[at] ?? 0)])) as Record<
    CounterName,
    number
  >;
}
