import type { Beats } from './beats.ts';
import { dropletId } from './fleet.ts';
import { Latencies } from './latency.ts';
import { settled } from './pace.ts';
import type { Came } from './protocol.ts';

/** The starts that are to come, how long each took, and those that nobody asked for. What is started runs again. */
export class AwaitedStarts {
  readonly #beats: Beats;
  readonly #reason: string;
  readonly #latencies = new Latencies();
  readonly #waiting = new Map<string, { n: number; sinceMs: number; reason: string }>();
  /** When each came. */
  readonly #cameMs: number[] = [];
  /** How many of one reason came one after the other, from the first on. */
  readonly #runs: { reason: string; count: number }[] = [];
  readonly #answered = new Set<string>();
  #twice = 0;
  #unasked = 0;
  #firstMs: number | undefined;
  #lastMs = 0;

  /** @param reason of each of them (header `hm-reason`) */
  constructor(beats: Beats, reason: string) {
    this.#beats = beats;
    this.#reason = reason;
  }

  /** Droplet `n` is to be started; `sinceMs` (`performance.now()`): its cause. `reason`: another one than of most. */
  expect(n: number, sinceMs: number, reason = this.#reason): void {
    this.#waiting.set(dropletId(n), { n, sinceMs, reason });
  }

  /** A `health.start` has come. */
  came(droplet: string, reason: string): void {
    const cause = this.#waiting.get(droplet);
    if (cause === undefined) {
      if (this.#answered.has(droplet)) this.#twice++;
      else this.#unasked++;
      return;
    }
    if (reason !== cause.reason) this.#unasked++;
    this.#latencies.add(cause.sinceMs);
    this.#lastMs = performance.now();
    this.#firstMs ??= this.#lastMs;
    this.#cameMs.push(this.#lastMs);
    const run = this.#runs.at(-1);
    if (run?.reason === reason) run.count++;
    else this.#runs.push({ reason, count: 1 });
    this.#waiting.delete(droplet);
    this.#answered.add(droplet);
    this.#beats.replace(cause.n);
  }

  /** How they came, when all have come, or none has for `silentMs`. */
  async all(silentMs: number): Promise<Came> {
    await settled(
      () => this.#waiting.size === 0,
      () => this.#waiting.size,
      silentMs,
    );
    return {
      latency: this.#latencies.summary(),
      seconds: (this.#lastMs - (this.#firstMs ?? this.#lastMs)) / 1000,
      missing: this.#waiting.size,
      twice: this.#twice,
      unasked: this.#unasked,
      runs: this.#runs,
      mostIn10s: mostWithin(this.#cameMs, 10_000),
    };
  }
}

/** The most of these times (ms, ascending) that lie within any window of that length. */
export function mostWithin(timesMs: readonly number[], windowMs: number): number {
  let first = 0;
  let most = 0;
  timesMs.forEach((ms, at) => {
    while (ms - (timesMs[first] as number) >= windowMs) first++;
    most = Math.max(most, at - first + 1);
  });
  return most;
}
