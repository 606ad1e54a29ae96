import { createHistogram } from 'node:perf_hooks';
import type { Latency } from './protocol.ts';

/** Gathers times and says their percentiles. */
export class Latencies {
  readonly #histogram = createHistogram();

  /** @param sinceMs as `performance.now()` says it */
  add(sinceMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - sinceMs) * 1e6)));
  }

  summary(): Latency {
    const ms = (ns: number) => Math.round(ns / 1e4) / 100;
    const of = (percent: number) => ms(this.#histogram.percentile(percent));
    const { count } = this.#histogram;
    if (count === 0)
      return { count, p50Ms: Number.NaN, p90Ms: Number.NaN, p99Ms: Number.NaN, maxMs: Number.NaN };
    return { count, p50Ms: of(50), p90Ms: of(90), p99Ms: of(99), maxMs: ms(this.#histogram.max) };
  }
}
