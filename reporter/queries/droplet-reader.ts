import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { type DropletReads, readWithDeas } from '../../common/redis/readers.ts';

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
  resolve(found: DropletReads): void;
  reject(error: unknown): void;
}

/**
 * Reads droplets for queries. Queries that come while others are being answered are read together, so the more
 * there are the less each costs.
 */
export class DropletReader {
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
  read(ids: readonly string[]): Promise<DropletReads> {
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
      const { droplets, deas, nowMs } = await readWithDeas(
        this.#redis,
        this.#clock,
        batch.flatMap(({ ids }) => ids),
      );
      let at = 0;
      for (const { ids, resolve } of batch) {
        resolve({ droplets: droplets.slice(at, at + ids.length), deas, nowMs });
        at += ids.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
