/** How long the heartbeats of each DEA have waited to be stored, for one reason. */
export class Patience {
  readonly #nowMs: () => number;
  readonly #longestMs: number;
  readonly #sinceMs = new Map<string, number>();

  /** @param longestMs they wait no longer than this */
  constructor(nowMs: () => number, longestMs: number) {
    this.#nowMs = nowMs;
    this.#longestMs = longestMs;
  }

  /** Whether a heartbeat of the DEA waits (longer); the first call begins its time. */
  waits(dea: string): boolean {
    const nowMs = this.#nowMs();
    const sinceMs = this.#sinceMs.get(dea) ?? nowMs;
    this.#sinceMs.set(dea, sinceMs);
    return nowMs - sinceMs <= this.#longestMs;
  }

  /** It waits no more. */
  end(dea: string): void {
    this.#sinceMs.delete(dea);
  }
}
