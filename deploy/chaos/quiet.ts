/** Since when the health manager has been undisturbed: no fault is on. Times in ms on this process's monotonic clock. */
export class Quiet {
  #faults = 0;
  #sinceMs = performance.now();
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
}
