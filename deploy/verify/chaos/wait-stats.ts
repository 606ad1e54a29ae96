/** What is waited for, and how long it took to come. */
export class Waits {
  readonly #what: string;
  readonly #nowMs: () => number;
  readonly #sinceMs = new Map<string, number>();
  readonly #tookMs: number[] = [];

  /** @param what that is: `question to answer` */
  constructor(what: string, nowMs: () => number) {
    this.#what = what;
    this.#nowMs = nowMs;
  }

  begin(key: string): void {
    this.#sinceMs.set(key, this.#nowMs());
  }

  /** It has come; what nobody waits for is no matter of this. */
  end(key: string): void {
    const sinceMs = this.#sinceMs.get(key);
    if (sinceMs === undefined) return;
    this.#sinceMs.delete(key);
    this.#tookMs.push(this.#nowMs() - sinceMs);
  }

  /** All that took longer than it may, and all that has not come. */
  problems(atMostMs: number): string[] {
    const late = this.#tookMs.filter((ms) => ms > atMostMs);
    return [
      ...late.map((ms) => `${this.#what}: took ${Math.round(ms)} ms`),
      ...[...this.#sinceMs.keys()].map((key) => `${this.#what}: never came for ${key}`),
    ];
  }

  /** In one line. */
  summary(): string {
    const sorted = [...this.#tookMs].sort((a, b) => a - b);
    const of = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN);
    return `${this.#what}: ${sorted.length} times, p50 ${of(0.5)} ms, p99 ${of(0.99)} ms, longest ${of(1)} ms`;
  }
}
