/** How long awaited things, such as answers, took to come. */
export class WaitStats {
  readonly #name: string;
  readonly #nowMs: () => number;
  readonly #sinceMs = new Map<string, number>();
  readonly #tookMs: number[] = [];

  /** @param name of the wait: `question to answer` */
  constructor(name: string, nowMs: () => number) {
    this.#name = name;
    this.#nowMs = nowMs;
  }

  begin(key: string): void {
    this.#sinceMs.set(key, this.#nowMs());
  }

  /** Ends a wait; an unknown key is ignored. */
  end(key: string): void {
    const sinceMs = this.#sinceMs.get(key);
    if (sinceMs === undefined) return;
    this.#sinceMs.delete(key);
    this.#tookMs.push(this.#nowMs() - sinceMs);
  }

  /** Every wait that took longer than `maxMs`, and every one that has not ended. */
  problems(maxMs: number): string[] {
    const late = this.#tookMs.filter((ms) => ms > maxMs);
    return [
      ...late.map((ms) => `${this.#name}: took ${Math.round(ms)} ms`),
      ...[...this.#sinceMs.keys()].map((key) => `${this.#name}: never came for ${key}`),
    ];
  }

  /** One line with the count and the percentiles. */
  summary(): string {
    const sorted = [...this.#tookMs].sort((a, b) => a - b);
    const percentile = (share: number) =>
      Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN);
    return `${this.#name}: ${sorted.length} times, p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms, longest ${percentile(1)} ms`;
  }
}
