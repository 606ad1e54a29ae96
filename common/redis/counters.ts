import type { Lifecycle } from '../runtime/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../runtime/log.ts';
import { PeriodicTask } from '../runtime/periodic-task.ts';
import { singleFlight } from '../runtime/single-flight.ts';
import { problemLevel } from './connection-error.ts';
import type { RedisConnections } from './connections.ts';

/** Messages that the whole deployment has received or sent, by the names that `/varz` gives them. */
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
  /** What is counted until the stop is stored: create it before what counts. */
  lifecycle: Lifecycle;
}

/**
 * Counters over all copies of all processes, kept in Redis. An increment is an addition in memory; once a second,
 * and at the stop, what came together is added in Redis. While Redis is away it waits here; what a process had not
 * stored when it was killed is lost.
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

  /** Resolves when all that was counted before is stored, or could not be and waits for the next time. */
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

/** What the whole deployment has counted since its Redis was set up. */
export async function readCounters({ client, keys }: RedisConnections): Promise<Record<CounterName, number>> {
  const counts = await client.hmget(keys.counters, ...COUNTERS);
  return Object.fromEntries(COUNTERS.map((name, at) => [name, Number(counts[at] ?? 0)])) as Record<
    CounterName,
    number
  >;
}
