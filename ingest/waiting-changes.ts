import type { RawHeartbeat } from './changed-heartbeat.ts';

/** A heartbeat that waits to be stored. */
export interface Waiting extends RawHeartbeat {
  /** Since when something of this DEA waits: of heartbeats that were overtaken meanwhile, the first one's time (ms). */
  sinceMs: number;
}

/** So many are stored side by side: more only lengthens the queue inside Redis. */
const STORED_AT_ONCE = 32;

/**
 * Changed heartbeats on their way into Redis, beside the many that say nothing new: those must not wait for these. After a
 * cold start everything is new and takes longer than a few heartbeats' time; a DEA whose heartbeats say nothing new would
 * look silent meanwhile, and be stored whole as soon as it is heard again, and so on for ever.
 *
 * Of each DEA only the newest waits, and never two of one DEA are stored at once.
 */
export class WaitingChanges {
  readonly #store: (dea: string, raw: RawHeartbeat) => Promise<void>;
  /** In the order of `sinceMs`: what is set anew keeps its place. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #inHand = new Map<string, Waiting>();
  #whenIdle: (() => void)[] = [];

  /** @param store never rejects */
  constructor(store: (dea: string, raw: RawHeartbeat) => Promise<void>) {
    this.#store = store;
  }

  /** Whether one of this DEA waits, which a newer one would overtake. */
  has(dea: string): boolean {
    return this.#waiting.has(dea);
  }

  /** A newer one takes the place of the one that waits. */
  put(dea: string, { bytes, digest, receivedMs, sinceMs }: Waiting): void {
    // It may wait for long: it keeps nothing but itself in memory, not the packet that it came in.
    const own = new Uint8Array(bytes);
    const since = this.#waiting.get(dea)?.sinceMs ?? sinceMs;
    this.#waiting.set(dea, { bytes: own, digest, receivedMs, sinceMs: since });
    this.#go();
  }

  /** Since when the one that has waited longest waits (ms); those that are being stored count. */
  oldestMs(): number | undefined {
    const [first] = this.#waiting.values();
    const all = [...this.#inHand.values(), ...(first ? [first] : [])];
    return all.length === 0 ? undefined : Math.min(...all.map(({ sinceMs }) => sinceMs));
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    if (this.#inHand.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #go(): void {
    for (const [dea, raw] of this.#waiting) {
      if (this.#inHand.size >= STORED_AT_ONCE) return;
      if (this.#inHand.has(dea)) continue;
      this.#waiting.delete(dea);
      this.#inHand.set(dea, raw);
      void this.#store(dea, raw).finally(() => {
        this.#inHand.delete(dea);
        this.#go();
        if (this.#inHand.size > 0) return;
        for (const resolve of this.#whenIdle.splice(0)) resolve();
      });
    }
  }
}
