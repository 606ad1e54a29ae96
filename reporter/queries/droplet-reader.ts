import type { ObservedDroplet } from '../../common/explain/observed-droplet.ts';
import type { Holds } from '../../common/model/droplet.ts';
import { lostBefore } from '../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { holdsFrom } from '../../common/redis/fleet/holds/holds.ts';
import { type DropletReads, readWithDeas } from '../../common/redis/records/readers.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { isKnown } from '../../common/views/droplet/droplet-answers.ts';

/** Too many reads are waiting because Redis is slow or does not answer; the caller would not wait for the result. */
export class BusyError extends Error {
  constructor() {
    super('too many droplets are waiting to be read');
    this.name = 'BusyError';
  }
}

/** Droplets of one batch; reads that arrive meanwhile form the next batch. */
const BATCH_SIZE = 2_000;
/** While one batch waits for Redis, the replies of another are decoded. */
const CONCURRENT_BATCHES = 2;
/** Droplets that may wait: about a second of work. Callers do not wait much longer. */
const MAX_WAITING = 50_000;

/** Droplets at one moment, and which of their instances are lost. */
export interface ObservedReads extends DropletReads {
  /** What was last listed before this time is lost (epoch ms). */
  lostBeforeMs: number;
  /** Those that are on for the whole deployment. */
  holds: Holds;
}

/** A droplet of these reads as queries see it; undefined if it is unknown or its record cannot be read. */
export function knownView(
  droplet: DropletReads['droplets'][number],
  { deas, nowMs, lostBeforeMs }: Omit<ObservedReads, 'droplets'>,
  settings: PolicySettings,
): ObservedDroplet | undefined {
  if (droplet === undefined || droplet instanceof Error || !isKnown(droplet)) return undefined;
  return { droplet, deas, nowMs, lostBeforeMs, settings };
}

interface WaitingRead {
  ids: readonly string[];
  resolve(found: ObservedReads): void;
  reject(error: unknown): void;
}

/**
 * Reads droplets for queries. Queries that arrive while others are being read share one read, so the cost of each
 * falls as the load rises.
 */
export class DropletReader {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #policy: PolicySettings;
  readonly #waiting: WaitingRead[] = [];
  #waitingIds = 0;
  #reading = 0;

  constructor(redis: RedisConnections, clock: Clock, policy: PolicySettings) {
    this.#redis = redis;
    this.#clock = clock;
    this.#policy = policy;
  }

  /** @throws BusyError */
  read(ids: readonly string[]): Promise<ObservedReads> {
    if (this.#waitingIds > 0 && this.#waitingIds + ids.length > MAX_WAITING) {
      return Promise.reject(new BusyError());
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ids, resolve, reject });
      this.#waitingIds += ids.length;
      this.#next();
    });
  }

  #next(): void {
    if (this.#reading >= CONCURRENT_BATCHES || this.#waiting.length === 0) return;
    let count = 0;
    let size = 0;
    for (const { ids } of this.#waiting) {
      if (count > 0 && size + ids.length > BATCH_SIZE) break;
      size += ids.length;
      count++;
    }
    const batch = this.#waiting.splice(0, count);
    this.#waitingIds -= size;
    this.#reading++;
    void this.#readBatch(batch).finally(() => {
      this.#reading--;
      this.#next();
    });
  }

  async #readBatch(batch: readonly WaitingRead[]): Promise<void> {
    try {
      const ids = batch.flatMap((read) => read.ids);
      const [{ droplets, deas, nowMs }, facts] = await Promise.all([
        readWithDeas(this.#redis, this.#clock, ids),
        readFleetFacts(this.#redis),
      ]);
      const holds = holdsFrom(facts, nowMs, this.#policy);
      const lostBeforeMs = lostBefore(nowMs, holds.listeningGaps, this.#policy);
      let at = 0;
      for (const { ids, resolve } of batch) {
        resolve({ droplets: droplets.slice(at, at + ids.length), deas, nowMs, lostBeforeMs, holds });
        at += ids.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
