import { Cluster, Command } from 'ioredis';
import type { Health } from '../../runtime/health.ts';
import type { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../../runtime/log/log.ts';
import { PeriodicTask } from '../../runtime/tasks/periodic-task.ts';
import type { Keys } from '../keys.ts';
import type { RedisClient } from '../scripts/scripts.ts';
import { refusalOf } from './connection-error.ts';

/** How often it is checked whether Redis takes writes (ms). */
const CHECK_EVERY_MS = 2_000;
/** The key of the check expires this long after the last process wrote it (ms). */
const KEY_TTL_MS = 60_000;

/** Whether Redis takes writes, as `/readyz` and the log show it. */
export class WriteState {
  readonly #log: Logger;
  readonly #health: Health;
  #refusal: string | undefined;

  constructor(log: Logger, health: Health) {
    this.#log = log;
    this.#health = health;
  }

  /** The code of the refusal, e.g. OOM; undefined while Redis takes writes. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** @param code undefined: a write succeeded */
  set(code: string | undefined): void {
    if (code === this.#refusal) return;
    if (code === undefined)
      this.#log.info({ event: 'redis_accepts_writes', reason: this.#refusal }, 'Redis takes writes again');
    else this.#log.warn({ event: 'redis_refuses_writes', reason: code }, `redis refuses writes: ${code}`);
    this.#refusal = code;
    this.#health.set('redis writes', code === undefined ? undefined : `redis refuses writes: ${code}`);
  }
}

/**
 * Writes a small key to each master every two seconds, because a Redis that is full, or that has become a replica, answers
 * everything but writes. While Redis is not reachable the write waits, and the connection reports that.
 */
export function checkWrites(
  { client, keys, writes }: { client: RedisClient; keys: Keys; writes: WriteState },
  lifecycle: Lifecycle,
): void {
  const check = async () => {
    const results = await Promise.allSettled(
      keysOfMasters(client, keys).map((key) => client.set(key, '1', 'PX', KEY_TTL_MS)),
    );
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    const refusal = errors.map(refusalOf).find((code) => code !== undefined);
    if (refusal !== undefined || errors.length === 0) writes.set(refusal);
  };
  const task = new PeriodicTask(CHECK_EVERY_MS, check);
  void task.runNow();
  lifecycle.onStop('write check', () => task.cancel());
}

/** One key on each master that has a slice. */
function keysOfMasters(client: RedisClient, keys: Keys): string[] {
  const all = Array.from({ length: keys.slices }, (_, slice) => keys.writeCheck(slice));
  if (!(client instanceof Cluster)) return all.slice(0, 1);
  const ofMasters = new Map<string, string>();
  for (const key of all) {
    const [master] = client.slots[new Command('get', [key]).getSlot() ?? 0] ?? [];
    if (master !== undefined) ofMasters.set(master, key);
  }
  return [...ofMasters.values()];
}

/** The first wait before a connection to a replica is made anew (ms); each further wait is twice as long. */
const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 5_000;
/** A replica that is met this long after the last one is a new failover (ms). */
const FORGET_AFTER_MS = 3 * MAX_WAIT_MS;

/** The waits between connections that lead to a replica, where a master should be. */
export class ReplicaBackoff {
  readonly #nowMs: () => number;
  #waitMs = 0;
  #metMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs a monotonic clock; for tests */
  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Wait before the next connection (ms). */
  get waitMs(): number {
    return this.#nowMs() - this.#metMs > FORGET_AFTER_MS ? 0 : this.#waitMs;
  }

  /** The server refused a write because it is a replica. */
  met(): void {
    // The first failover is fast: its new master is there already.
    this.#waitMs = this.waitMs === 0 ? FIRST_WAIT_MS : Math.min(2 * this.#waitMs, MAX_WAIT_MS);
    this.#metMs = this.#nowMs();
  }
}
