const LOOK_EVERY_MS = 100;
/** This process is later than that: the whole machine stood still, and nobody could do anything. */
const LATE_MS = 500;

/** Since when the health manager has been undisturbed: no fault is on. Times in ms on this process's monotonic clock. */
export class Quiet {
  #faults = 0;
  #sinceMs = performance.now();
  #lookedMs = performance.now();
  #stalledMs = 0;
  readonly #looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  /** Everything stored before is not known any more: Redis lost its data then. */
  forgottenMs = Number.NEGATIVE_INFINITY;

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

  /** For how long the machine has stood still, altogether (ms): no bound can be kept then. */
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
    if (lateMs < LATE_MS) return;
    this.#stalledMs += lateMs;
    this.#sinceMs = nowMs;
  }
}
