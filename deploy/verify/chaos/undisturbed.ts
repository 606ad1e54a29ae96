import { Outages } from './outages.ts';

const CHECK_EVERY_MS = 100;
/**
 * When the timer of this process, which does little, is this late, the machine kept all processes from running. No time
 * limit runs meanwhile.
 */
const STALL_MS = 50;
/** After a stall this long, messages from before and after it may be processed in any order. */
const REORDERING_STALL_MS = 500;

/** Since when the health manager has run undisturbed, without a fault. Times in ms on this process's monotonic clock. */
export class Undisturbed {
  /** When Redis last lost its data, with everything that was stored before. */
  dataLostMs = Number.NEGATIVE_INFINITY;
  /** When no ingestor could receive heartbeats. */
  readonly #unheard = new Outages();
  readonly #recordLostMs = new Map<string, number>();
  #faults = 0;
  #sinceMs = performance.now();
  #checkedMs = performance.now();
  #stalledMs = 0;
  readonly #timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
  readonly #onStall: (ms: number) => void;

  /** @param onStall is called after each stall of the machine, with its length (ms) */
  constructor(onStall: (ms: number) => void = () => undefined) {
    this.#onStall = onStall;
  }

  /**
   * A fault begins.
   *
   * @returns its end, to be called once
   */
  disturb(): () => void {
    this.#faults++;
    return () => {
      this.#faults--;
      this.#sinceMs = performance.now();
    };
  }

  /** The record of a droplet was deleted or edited in Redis. */
  recordLost(droplet: string): void {
    this.#recordLostMs.set(droplet, performance.now());
  }

  /** From now on no ingestor can receive heartbeats, until the same reason has ended. */
  unheardSince(reason: string, nowMs = performance.now()): void {
    this.#unheard.begin(reason, nowMs);
  }

  heardAgain(reason: string, nowMs = performance.now()): void {
    this.#unheard.end(reason, nowMs);
  }

  /** How long ingestors could receive heartbeats between two times (ms), at most. */
  listenedMs(fromMs: number, toMs: number): number {
    return this.#unheard.withoutMs(fromMs, toMs);
  }

  /** When ingestors could have received heartbeats for that long since then (ms). */
  listenedAfterMs(fromMs: number, durationMs: number): number {
    return this.#unheard.afterMs(fromMs, durationMs);
  }

  /** When Redis last lost the data of a droplet, alone or with all others. */
  dataLostMsOf(droplet: string): number {
    return Math.max(this.dataLostMs, this.#recordLostMs.get(droplet) ?? Number.NEGATIVE_INFINITY);
  }

  /** Infinite during a fault. */
  get sinceMs(): number {
    return this.#faults > 0 ? Number.POSITIVE_INFINITY : this.#sinceMs;
  }

  /** The sum of all stalls of the machine (ms). */
  get stalledMs(): number {
    return this.#stalledMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#checkedMs - CHECK_EVERY_MS;
    this.#checkedMs = nowMs;
    if (lateMs >= STALL_MS) {
      this.#stalledMs += lateMs;
      this.#onStall(lateMs);
    }
    if (lateMs >= REORDERING_STALL_MS) this.#sinceMs = nowMs;
  }
}
