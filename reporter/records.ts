import { Cluster } from 'ioredis';
import type { Clock } from '../common/clock.ts';
import type { DeaLiveness, Droplet } from '../common/droplet.ts';
import type { Deas } from '../common/policy/liveness.ts';
import { dropletFromReply } from '../common/record.ts';
import type { RedisConnections } from '../common/redis.ts';

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

/** Droplets read by one call of the script: Redis does nothing else meanwhile, so about a millisecond. */
const CHUNK = 200;
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
    const texts = await this.#texts(ids);
    // Between the records and the DEAs: an instance is judged by a heartbeat that may be newer than now, never older.
    const nowMs = this.#clock.now();
    const droplets = texts.map((text, at) => fromText(ids[at] as string, text));
    return { droplets, deas: await this.#deas(droplets), nowMs };
  }

  async #texts(ids: readonly string[]): Promise<string[]> {
    const { client, keys, scripts } = this.#redis;
    const texts = new Array<string>(ids.length).fill('');
    const groups = client instanceof Cluster ? bySlice(ids, keys.sliceOf) : [ids.map((_, at) => at)];
    const chunks = groups.flatMap((group) => chunksOf(group, CHUNK));
    await Promise.all(
      chunks.map(async (chunk) => {
        const read = await scripts.readDroplets(
          chunk.map((at) => keys.droplet(ids[at] as string)),
          [],
        );
        chunk.forEach((at, n) => {
          texts[at] = read[n] as string;
        });
      }),
    );
    return texts;
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

function fromText(id: string, text: string): Droplet | Error | undefined {
  if (text === '') return undefined;
  try {
    return dropletFromReply(id, text.split('\n'));
  } catch (error) {
    return error as Error;
  }
}

/** Positions of the ids, those of one slice together: in a cluster a script's keys must be. */
function bySlice(ids: readonly string[], sliceOf: (id: string) => number): number[][] {
  const groups = new Map<number, number[]>();
  ids.forEach((id, at) => {
    const slice = sliceOf(id);
    const group = groups.get(slice);
    if (group === undefined) groups.set(slice, [at]);
    else group.push(at);
  });
  return [...groups.values()];
}

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}
