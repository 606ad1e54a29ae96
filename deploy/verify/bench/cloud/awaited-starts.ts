import { Latencies } from '../measure/latency.ts';
import { dropletId } from './fleet.ts';
import type { HeartbeatGenerator } from './heartbeat-generator.ts';
import { waitWhileProgressing } from './pace.ts';
import type { StartStats } from './protocol.ts';

/** The starts that must come, how long each takes, and those without a cause. A started droplet runs again. */
export class AwaitedStarts {
  readonly #heartbeats: HeartbeatGenerator;
  readonly #reason: string;
  readonly #latencies = new Latencies();
  readonly #waiting = new Map<string, { n: number; sinceMs: number; reason: string }>();
  readonly #arrivedMs: number[] = [];
  /** How many starts with the same reason came one after the other, from the first on. */
  readonly #runs: { reason: string; count: number }[] = [];
  readonly #answered = new Set<string>();
  #repeated = 0;
  #unexpected = 0;
  #firstMs: number | undefined;
  #lastMs = 0;

  /** @param reason the expected `hm-reason` header of most starts */
  constructor(heartbeats: HeartbeatGenerator, reason: string) {
    this.#heartbeats = heartbeats;
    this.#reason = reason;
  }

  /**
   * Expects a start of droplet `n`.
   *
   * @param sinceMs when its cause happened (`performance.now()`)
   */
  expect(n: number, sinceMs: number, reason = this.#reason): void {
    this.#waiting.set(dropletId(n), { n, sinceMs, reason });
  }

  /** A `health.start` arrived. */
  add(droplet: string, reason: string): void {
    const cause = this.#waiting.get(droplet);
    if (cause === undefined) {
      if (this.#answered.has(droplet)) this.#repeated++;
      else this.#unexpected++;
      return;
    }
    if (reason !== cause.reason) this.#unexpected++;
    this.#latencies.add(cause.sinceMs);
    this.#lastMs = performance.now();
    this.#firstMs ??= this.#lastMs;
    this.#arrivedMs.push(this.#lastMs);
    const run = this.#runs.at(-1);
    if (run?.reason === reason) run.count++;
    else this.#runs.push({ reason, count: 1 });
    this.#waiting.delete(droplet);
    this.#answered.add(droplet);
    this.#heartbeats.replace(cause.n);
  }

  /** Waits until every start has come, or none has for `timeoutMs`. */
  async stats(timeoutMs: number): Promise<StartStats> {
    await waitWhileProgressing(
      () => this.#waiting.size === 0,
      () => this.#waiting.size,
      timeoutMs,
    );
    return {
      latency: this.#latencies.summary(),
      seconds: (this.#lastMs - (this.#firstMs ?? this.#lastMs)) / 1000,
      missing: this.#waiting.size,
      repeated: this.#repeated,
      unexpected: this.#unexpected,
      runs: this.#runs,
      mostIn10s: mostWithin(this.#arrivedMs, 10_000),
    };
  }
}

/** The largest number of these times (ms, ascending) within any window of that length. */
export function mostWithin(timesMs: readonly number[], windowMs: number): number {
  let first = 0;
  let most = 0;
  timesMs.forEach((ms, at) => {
    while (ms - (timesMs[first] as number) >= windowMs) first++;
    most = Math.max(most, at - first + 1);
  });
  return most;
}
