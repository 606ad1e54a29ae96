const LOOK_EVERY_MS = 100;
/**
 * Later than that by its timer, this process, which does little, was kept from running by the machine, and so were the
 * others: no bound runs then.
 */
const KEPT_MS = 50;
/** So late, the machine stood still: what is said before and after may be handled in any order. */
const STOOD_STILL_MS = 500;

/** Since when the health manager has been undisturbed: no fault is on. Times in ms on this process's monotonic clock. */
export class Quiet {
  #faults = 0;
  #sinceMs = performance.now();
  #lookedMs = performance.now();
  #stalledMs = 0;
  readonly #looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  /** Everything stored before is not known any more: Redis lost its data then. */
  forgottenMs = Number.NEGATIVE_INFINITY;
  readonly #onKept: (ms: number) => void;

  /** @param onKept is told of each time that the machine kept its processes from running, and how long that was (ms) */
  constructor(onKept: (ms: number) => void = () => undefined) {
    this.#onKept = onKept;
  }

  /** A fault is on. @returns its end, to be called once */
  disturb(): () => void {
    this.#faults++;
    return () => {
      this.#faults--;
      this.#sinceMs = performance.now();
    };
  }

  /** Infinite while a fault is on. */
  get sinceMs(): number {
    return this.#faults > 0 ? Number.POSITIVE_INFINITY : this.#sinceMs;
  }

  /** For how long the machine has kept its processes from running, altogether (ms). */
  get stalledMs(): number {
    return this.#stalledMs;
  }

  stop(): void {
    clearInterval(this.#looking);
  }

  #look(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#lookedMs - LOOK_EVERY_MS;
    this.#lookedMs = nowMs;
    if (lateMs >= KEPT_MS) {
      this.#stalledMs += lateMs;
      this.#onKept(lateMs);
    }
    if (lateMs >= STOOD_STILL_MS) this.#sinceMs = nowMs;
  }
}
