/** When a process last did the work of its kind; a call costs a reading of the clock. */
export class LastWork {
  readonly #clock: { nowMs(): number };
  #atMs: number | undefined;

  /** @param clock that of Redis */
  constructor(clock: { nowMs(): number }) {
    this.#clock = clock;
  }

  /** Epoch ms on Redis's clock; undefined: it has done none yet. */
  get atMs(): number | undefined {
    return this.#atMs;
  }

  /** Call it when a piece of work is done. */
  done(): void {
    this.#atMs = this.#clock.nowMs();
  }
}
