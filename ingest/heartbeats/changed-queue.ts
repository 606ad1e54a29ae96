import type { RawHeartbeat } from './store-changed.ts';

/** A heartbeat that waits to be stored. */
export interface QueuedHeartbeat extends RawHeartbeat {
  /** Since when something of this DEA waits: of heartbeats that were overtaken meanwhile, the first one's time (ms). */
  backlogSinceMs: number;
}

/** So many are stored side by side: more only lengthens the queue inside Redis. */
const STORED_AT_ONCE = 32;
/** What waits is kept in so much memory (bytes): 2,800 heartbeats of a hundred instances, of which some 200 are stored a second. */
const KEPT_AT_MOST = 64 * 1024 * 1024;

/**
 * Changed heartbeats on their way into Redis, beside the many that say nothing new: those must not wait for these. After a
 * cold start everything is new and takes longer than a few heartbeats' time; a DEA whose heartbeats say nothing new would
 * look silent meanwhile, and be stored whole as soon as it is heard again, and so on for ever.
 *
 * Of each DEA only the newest waits, and never two of one DEA are stored at once. Where more DEAs wait than memory is to be
 * had for, the later ones keep their place only: the heartbeat that is stored is the one that comes when their turn is near.
 */
export class ChangedHeartbeatQueue {
  readonly #store: (dea: string, raw: RawHeartbeat) => Promise<void>;
  readonly #keptAtMost: number;
  /** DEAs of which something waits, in the order in which they came. */
  readonly #places = new Map<string, Ticket>();
  /** The heartbeats of those that are kept. */
  readonly #kept = new Map<string, RawHeartbeat>();
  readonly #inHand = new Map<string, Ticket>();
  #given = 0;
  #taken = 0;
  #whenIdle: (() => void)[] = [];

  /**
   * @param store never rejects
   * @param keptAtMost instead of KEPT_AT_MOST (bytes)
   */
  constructor(store: (dea: string, raw: RawHeartbeat) => Promise<void>, keptAtMost = KEPT_AT_MOST) {
    this.#store = store;
    this.#keptAtMost = keptAtMost;
  }

  /** Whether one of this DEA waits, which a newer one would overtake. */
  has(dea: string): boolean {
    return this.#places.has(dea);
  }

  /** A newer one takes the place of the one that waits. */
  enqueue(dea: string, { bytes, digest, receivedMs, backlogSinceMs }: QueuedHeartbeat): void {
    const place = this.#places.get(dea) ?? { number: this.#given++, backlogSinceMs };
    this.#places.set(dea, place);
    // By places and not by what happens to be free, or of DEAs that are heard in turn always the same ones would find room.
    const ahead = place.number - this.#taken;
    if (ahead >= STORED_AT_ONCE && (ahead + 1) * bytes.length > this.#keptAtMost) {
      this.#kept.delete(dea);
      return;
    }
    // It may wait for long: it keeps nothing but itself in memory, not the packet that it came in.
    this.#kept.set(dea, { bytes: new Uint8Array(bytes), digest, receivedMs });
    this.#go();
  }

  /** Since when the one that has waited longest waits (ms); those that are being stored count. */
  oldestMs(): number | undefined {
    const [first] = this.#places.values();
    const all = [...this.#inHand.values(), ...(first ? [first] : [])];
    return all.length === 0 ? undefined : Math.min(...all.map(({ backlogSinceMs }) => backlogSinceMs));
  }

  /** Resolves when all that is kept is stored. */
  async idle(): Promise<void> {
    if (this.#inHand.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #go(): void {
    for (const [dea, raw] of this.#kept) {
      if (this.#inHand.size >= STORED_AT_ONCE) return;
      if (this.#inHand.has(dea)) continue;
      this.#inHand.set(dea, this.#places.get(dea) as Ticket);
      this.#places.delete(dea);
      this.#kept.delete(dea);
      this.#taken++;
      void this.#store(dea, raw).finally(() => {
        this.#inHand.delete(dea);
        this.#go();
        if (this.#inHand.size > 0) return;
        for (const resolve of this.#whenIdle.splice(0)) resolve();
      });
    }
  }
}

/** Where a DEA stands in the queue. */
interface Ticket {
  /** Of all that were ever given. */
  number: number;
  backlogSinceMs: number;
}
