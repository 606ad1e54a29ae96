import type { RawHeartbeat } from './raw-heartbeat.ts';
import { giveUp, withNewer } from './waiting.ts';

/** A heartbeat that waits to be stored. */
export interface QueuedHeartbeat extends RawHeartbeat {
  /** Receive time of the oldest heartbeat of this DEA that is not stored; later heartbeats that replace it keep it (ms). */
  backlogSinceMs: number;
}

/** Never rejects. Resolves with 'again' if the heartbeat must be stored later, and with anything else when it is done. */
type StoreHeartbeat = (dea: string, heartbeat: RawHeartbeat) => Promise<unknown>;

/** Heartbeats stored at the same time. More would only lengthen the queue inside Redis. */
const MAX_STORING = 32;
/** Memory for queued heartbeats: 2,800 of a hundred instances. About 200 of them are stored a second. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/**
 * The queue of changed heartbeats. Equal heartbeats do not wait behind them. After a cold start every heartbeat is a
 * changed one, and storing all of them takes longer than a few heartbeat periods. If equal ones waited, their DEAs would
 * appear silent, their next heartbeats would have to be stored whole, and the backlog would never end.
 *
 * The queue holds only the newest heartbeat of each DEA, and never stores two of one DEA at the same time. It also holds an
 * older one that lists more, because some DEAs send heartbeats that list only a new instance. When memory is
 * used up, later DEAs keep a ticket without a heartbeat. The heartbeat that arrives when their turn is near is stored. If none
 * arrives here any more, the ticket expires: otherwise it would hold back the watermark for ever.
 */
export class ChangedHeartbeatQueue {
  readonly #store: StoreHeartbeat;
  readonly #maxBytes: number;
  readonly #expiry: TicketExpiry | undefined;
  /** Tickets of the waiting DEAs, in order of arrival. */
  readonly #tickets = new Map<string, Ticket>();
  /** The heartbeats of the tickets that have one in memory: of one DEA oldest first, each listing more than the next. */
  readonly #heartbeats = new Map<string, RawHeartbeat[]>();
  /** When the heartbeat of a ticket without one was given up (ms), oldest first. */
  readonly #givenUp = new Map<string, number>();
  #expired = 0;
  readonly #storing = new Map<string, Ticket>();
  #issued = 0;
  #served = 0;
  #whenIdle: (() => void)[] = [];

  /**
   * @param maxBytes memory for queued heartbeats
   * @param expiry without it, tickets do not expire
   */
  constructor(store: StoreHeartbeat, maxBytes = MAX_QUEUED_BYTES, expiry?: TicketExpiry) {
    this.#store = store;
    this.#maxBytes = maxBytes;
    this.#expiry = expiry;
  }

  /** Whether a heartbeat of this DEA waits. */
  has(dea: string): boolean {
    return this.#tickets.has(dea);
  }

  /** Whether a heartbeat of this DEA waits or is being stored. */
  isBusyWith(dea: string): boolean {
    return this.#tickets.has(dea) || this.#storing.has(dea);
  }

  /**
   * Queues a heartbeat, in the place of those of the same DEA that wait and list no more.
   *
   * @returns how many it replaced
   */
  enqueue(dea: string, { backlogSinceMs, ...received }: QueuedHeartbeat): number {
    // A copy, because the received bytes keep the whole network packet in memory.
    const heartbeat: RawHeartbeat = { ...received, bytes: new Uint8Array(received.bytes) };
    const before = this.#heartbeats.get(dea);
    const isInPlaceOfGivenUp = before === undefined && this.#tickets.has(dea);
    const { waiting, replaced } = withNewer(before ?? [], heartbeat);
    this.#put(dea, waiting, backlogSinceMs);
    return isInPlaceOfGivenUp ? 1 : replaced;
  }

  #put(dea: string, heartbeats: RawHeartbeat[], backlogSinceMs: number): void {
    const ticket = this.#tickets.get(dea) ?? { number: this.#issued++, backlogSinceMs };
    this.#tickets.set(dea, ticket);
    // By position, not by free memory: otherwise, of DEAs that report in turn, always the same ones would find memory free.
    const ahead = ticket.number - this.#served;
    const size = heartbeats.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#givenUp.delete(dea); // to its place in the order of time
    if (ahead >= MAX_STORING && (ahead + 1) * size > this.#maxBytes) {
      this.#heartbeats.delete(dea);
      giveUp(heartbeats);
      this.#givenUp.set(dea, heartbeats.at(-1)?.receivedMs ?? backlogSinceMs);
      return;
    }
    this.#heartbeats.set(dea, heartbeats);
    this.#storeNext();
  }

  /** How many tickets have expired: each time a heartbeat was lost. */
  get expired(): number {
    return this.#expired;
  }

  /** The oldest `backlogSinceMs` of all DEAs that wait or are being stored (ms). */
  backlogSinceMs(): number | undefined {
    this.#expireTickets();
    let oldestMs: number | undefined;
    for (const tickets of [this.#storing, this.#tickets])
      for (const { backlogSinceMs } of tickets.values())
        oldestMs = Math.min(oldestMs ?? backlogSinceMs, backlogSinceMs);
    return oldestMs;
  }

  /** Resolves when every heartbeat in memory is stored. */
  async idle(): Promise<void> {
    if (this.#storing.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** A newer heartbeat that lists at least as much takes their place, and is overdue for as long. */
  #requeue(dea: string, heartbeats: RawHeartbeat[], backlogSinceMs: number): void {
    const ticket = this.#tickets.get(dea);
    if (ticket !== undefined) ticket.backlogSinceMs = Math.min(ticket.backlogSinceMs, backlogSinceMs);
    const newer = this.#heartbeats.get(dea);
    if (ticket !== undefined && newer === undefined) {
      giveUp(heartbeats); // for want of memory
      return;
    }
    let waiting = heartbeats;
    for (const heartbeat of newer ?? []) ({ waiting } = withNewer(waiting, heartbeat));
    this.#put(dea, waiting, backlogSinceMs);
  }

  /** Returns the heartbeats that must be stored later, in their order. */
  async #storeInOrder(dea: string, heartbeats: RawHeartbeat[]): Promise<RawHeartbeat[]> {
    for (const [at, heartbeat] of heartbeats.entries())
      if ((await this.#store(dea, heartbeat)) === 'again') return heartbeats.slice(at);
    return [];
  }

  #expireTickets(): void {
    if (this.#expiry === undefined) return;
    const { nowMs, afterMs } = this.#expiry;
    for (const [dea, givenUpMs] of this.#givenUp) {
      if (nowMs() - givenUpMs <= afterMs) return;
      this.#givenUp.delete(dea);
      this.#tickets.delete(dea);
      this.#served++;
      this.#expired++;
    }
  }

  #storeNext(): void {
    for (const [dea, heartbeats] of this.#heartbeats) {
      if (this.#storing.size >= MAX_STORING) return;
      if (this.#storing.has(dea)) continue;
      this.#storing.set(dea, this.#tickets.get(dea) as Ticket);
      this.#tickets.delete(dea);
      this.#heartbeats.delete(dea);
      this.#served++;
      void this.#storeInOrder(dea, heartbeats).then((left) => {
        const { backlogSinceMs } = this.#storing.get(dea) as Ticket;
        this.#storing.delete(dea);
        if (left.length > 0) this.#requeue(dea, left, backlogSinceMs);
        this.#storeNext();
        if (this.#storing.size > 0) return;
        for (const resolve of this.#whenIdle.splice(0)) resolve();
      });
    }
  }
}

/** A ticket expires when its heartbeat was given up longer ago than this, and no other one has arrived. */
interface TicketExpiry {
  nowMs(): number;
  afterMs: number;
}

/** The position of a DEA in the queue. */
interface Ticket {
  /** Counts all tickets ever issued. */
  number: number;
  backlogSinceMs: number;
}
