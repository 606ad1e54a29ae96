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

/** What was read, with the droplets in the order of their ids. */
type Reads = { droplets: readonly unknown[] };

interface WaitingRead<R> {
  ids: readonly string[];
  resolve(found: R): void;
  reject(error: unknown): void;
}

/** Queries that arrive while others are being read share one read, so the cost of each falls as the load rises. */
export class SharedReads<R extends Reads> {
  readonly #readBatch: (ids: readonly string[]) => Promise<R>;
  readonly #waiting: WaitingRead<R>[] = [];
  #waitingIds = 0;
  #reading = 0;

  constructor(readBatch: (ids: readonly string[]) => Promise<R>) {
    this.#readBatch = readBatch;
  }

  /** @throws BusyError */
  read(ids: readonly string[]): Promise<R> {
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
    void this.#read(batch).finally(() => {
      this.#reading--;
      this.#next();
    });
  }

  async #read(batch: readonly WaitingRead<R>[]): Promise<void> {
    try {
      const reads = await this.#readBatch(batch.flatMap((read) => read.ids));
      let at = 0;
      for (const { ids, resolve } of batch) {
        resolve({ ...reads, droplets: reads.droplets.slice(at, at + ids.length) });
        at += ids.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
