/** How late timers run: a machine without idle CPU, or a process that was suspended. */

/** Reports when the loop of this process ran late. */
export class LateTimer {
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  #worstMs = 0;

  /**
   * @param everyMs the interval
   * @param act called at each interval
   * @param onLate called before `act` with how late it is (ms), from `minMs` on
   */
  constructor(everyMs: number, act: () => void, onLate?: (ms: number) => void, minMs = everyMs) {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      const lateMs = nowMs - this.#lastMs - everyMs;
      this.#lastMs = nowMs;
      this.#worstMs = Math.max(this.#worstMs, lateMs);
      if (lateMs >= minMs) onLate?.(lateMs);
      act();
    }, everyMs);
  }

  /** The latest that it ever was (ms). */
  get worstMs(): number {
    return this.#worstMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Longer delays of a start than on an idle machine (ms). */
const BUSY_MS = 500;
const VERY_BUSY_MS = 1_500;

/** By what the demo lengthens the time for which a DEA may be silent, after timers of its start ran this late (ms). */
export function stretchOf(lateMs: number): 1 | 2 | 3 {
  if (lateMs < BUSY_MS) return 1;
  return lateMs < VERY_BUSY_MS ? 2 : 3;
}
