import type { Clock } from '../common/clock.ts';
import type { DeaLiveness, Droplet } from '../common/droplet.ts';
import type { Deas } from '../common/policy/liveness.ts';
import type { RedisConnections } from '../common/redis.ts';
import { readDroplets } from '../common/state.ts';

/** Droplets as they were at one moment, with what their instances' liveness depends on. */
export interface Found {
  /** In the order asked for: undefined if there is no record, an Error if it cannot be read. */
  droplets: (Droplet | Error | undefined)[];
  /** Of all DEAs that the droplets' instances name, those that are known. */
  deas: Deas;
  /** When the records were read. */
  nowMs: number;
}

/** Too much is waiting to be read: Redis is slow or away, and whoever asked will not wait so long. */
export class BusyError extends Error {
  constructor() {
    super('too many droplets are waiting to be read');
    this.name = 'BusyError';
  }
}

/** Droplets of one batch; what comes meanwhile is the next one. */
const BATCH = 2_000;
/** While one batch is with Redis the answer to another one is worked on. */
const BATCHES_AT_ONCE = 2;
/** Beyond these no more are taken: about a second of work, and whoever asks does not wait much longer. */
const WAITING_AT_MOST = 50_000;

interface Waiting {
  ids: readonly string[];
  resolve(found: Found): void;
  reject(error: unknown): void;
}

/**
 * Reads droplets for queries. Queries that come while others are being answered are read together, so the more
 * there are the less each costs.
 */
export class Records {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #waitingIds = 0;
  #reading = 0;

  constructor(redis: RedisConnections, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** @throws BusyError */
  read(ids: readonly string[]): Promise<Found> {
    if (this.#waitingIds > 0 && this.#waitingIds + ids.length > WAITING_AT_MOST) {
      return Promise.reject(new BusyError());
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ids, resolve, reject });
      this.#waitingIds += ids.length;
      this.#next();
    });
  }

  #next(): void {
    if (this.#reading >= BATCHES_AT_ONCE || this.#waiting.length === 0) return;
    let count = 0;
    let size = 0;
    for (const { ids } of this.#waiting) {
      if (count > 0 && size + ids.length > BATCH) break;
      size += ids.length;
      count++;
    }
    const batch = this.#waiting.splice(0, count);
    this.#waitingIds -= size;
    this.#reading++;
    void this.#answer(batch).finally(() => {
      this.#reading--;
      this.#next();
    });
  }

  async #answer(batch: readonly Waiting[]): Promise<void> {
    try {
      const { droplets, deas, nowMs } = await this.#read(batch.flatMap(({ ids }) => ids));
      let at = 0;
      for (const { ids, resolve } of batch) {
        resolve({ droplets: droplets.slice(at, at + ids.length), deas, nowMs });
        at += ids.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  async #read(ids: readonly string[]): Promise<Found> {
    const droplets = await readDroplets(this.#redis, ids);
    // After the records and before the DEAs: an instance is judged by a heartbeat that may be newer than now, never older.
    const nowMs = this.#clock.now();
    return { droplets, deas: await this.#deas(droplets), nowMs };
  }

  async #deas(droplets: Found['droplets']): Promise<Deas> {
    const names = new Set<string>();
    for (const droplet of droplets) {
      if (droplet === undefined || droplet instanceof Error) continue;
      for (const { dea } of droplet.instances) names.add(dea);
    }
    const liveness = new Map<string, DeaLiveness>();
    if (names.size === 0) return liveness;
    const { client, keys } = this.#redis;
    const scores = await client.zmscore(keys.deasHeard, ...names);
    let at = 0;
    for (const dea of names) {
      const heard = scores[at++];
      if (heard != null) liveness.set(dea, { heardMs: Number(heard) });
    }
    return liveness;
  }
}
