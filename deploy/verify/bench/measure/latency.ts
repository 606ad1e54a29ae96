import { createHistogram } from 'node:perf_hooks';
import type { Latency } from '../cloud/protocol.ts';

/** Collects latencies and summarizes them as percentiles. */
export class Latencies {
  readonly #histogram = createHistogram();

  /** @param sinceMs the begin, by `performance.now()` */
  add(sinceMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - sinceMs) * 1e6)));
  }

  summary(): Latency {
    const ms = (ns: number) => Math.round(ns / 1e4) / 100;
    const percentile = (percent: number) => ms(this.#histogram.percentile(percent));
    const { count } = this.#histogram;
    if (count === 0)
      return { count, p50Ms: Number.NaN, p90Ms: Number.NaN, p99Ms: Number.NaN, maxMs: Number.NaN };
    return {
      count,
      p50Ms: percentile(50),
      p90Ms: percentile(90),
      p99Ms: percentile(99),
      maxMs: ms(this.#histogram.max),
    };
  }
}
