import type { RawHeartbeat } from './store-changed.ts';

/** A heartbeat that waits to be stored. */
export interface QueuedHeartbeat extends RawHeartbeat {
  /** Receive time of the oldest heartbeat of this DEA that is not stored; later heartbeats that replace it keep it (ms). */
  backlogSinceMs: number;
}

/** Heartbeats stored at the same time. More would only lengthen the queue inside Redis. */
const MAX_STORING = 32;
/** Memory for queued heartbeats: 2,800 of a hundred instances. About 200 of them are stored a second. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/**
 * The queue of changed heartbeats. Equal heartbeats do not wait behind them. After a cold start every heartbeat is a
 * changed one, and storing all of them takes longer than a few heartbeat periods. If equal ones waited, their DEAs would
 * appear silent, their next heartbeats would have to be stored whole, and the backlog would never end.
 *
 * The queue holds only the newest heartbeat of each DEA, and never stores two of one DEA at the same time. When memory is
 * used up, later DEAs keep a ticket without a heartbeat. The heartbeat that arrives when their turn is near is stored.
 */
export class ChangedHeartbeatQueue {
  readonly #store: (dea: string, heartbeat: RawHeartbeat) => Promise<void>;
  readonly #maxBytes: number;
  /** Tickets of the waiting DEAs, in order of arrival. */
  readonly #tickets = new Map<string, Ticket>();
  /** The heartbeats of the tickets that have one in memory. */
  readonly #heartbeats = new Map<string, RawHeartbeat>();
  readonly #storing = new Map<string, Ticket>();
  #issued = 0;
  #served = 0;
  #whenIdle: (() => void)[] = [];

  /**
   * @param store never rejects
   * @param maxBytes memory for queued heartbeats
   */
  constructor(store: (dea: string, heartbeat: RawHeartbeat) => Promise<void>, maxBytes = MAX_QUEUED_BYTES) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  /** Whether this DEA has a ticket; a newer heartbeat would replace the waiting one. */
  has(dea: string): boolean {
    return this.#tickets.has(dea);
  }

  /** Queues a heartbeat, in the place of a waiting one of the same DEA. */
  enqueue(dea: string, { bytes, digest, receivedMs, backlogSinceMs }: QueuedHeartbeat): void {
    const ticket = this.#tickets.get(dea) ?? { number: this.#issued++, backlogSinceMs };
    this.#tickets.set(dea, ticket);
    // By position, not by free memory: otherwise, of DEAs that report in turn, always the same ones would find memory free.
    const ahead = ticket.number - this.#served;
    if (ahead >= MAX_STORING && (ahead + 1) * bytes.length > this.#maxBytes) {
      this.#heartbeats.delete(dea);
      return;
    }
    // A copy, because the received bytes keep the whole network packet in memory.
    this.#heartbeats.set(dea, { bytes: new Uint8Array(bytes), digest, receivedMs });
    this.#storeNext();
  }

  /** The oldest `backlogSinceMs` of all DEAs that wait or are being stored (ms). */
  backlogSinceMs(): number | undefined {
    const [first] = this.#tickets.values();
    const tickets = [...this.#storing.values(), ...(first ? [first] : [])];
    return tickets.length === 0
      ? undefined
      : Math.min(...tickets.map(({ backlogSinceMs }) => backlogSinceMs));
  }

  /** Resolves when every heartbeat in memory is stored. */
  async idle(): Promise<void> {
    if (this.#storing.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #storeNext(): void {
    for (const [dea, heartbeat] of this.#heartbeats) {
      if (this.#storing.size >= MAX_STORING) return;
      if (this.#storing.has(dea)) continue;
      this.#storing.set(dea, this.#tickets.get(dea) as Ticket);
      this.#tickets.delete(dea);
      this.#heartbeats.delete(dea);
      this.#served++;
      void this.#store(dea, heartbeat).finally(() => {
        this.#storing.delete(dea);
        this.#storeNext();
        if (this.#storing.size > 0) return;
        for (const resolve of this.#whenIdle.splice(0)) resolve();
      });
    }
  }
}

/** The position of a DEA in the queue. */
interface Ticket {
  /** Counts all tickets ever issued. */
  number: number;
  backlogSinceMs: number;
}
