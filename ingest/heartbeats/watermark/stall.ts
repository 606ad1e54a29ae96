import { performance } from 'node:perf_hooks';
import type { Bus } from '../../../common/nats/bus.ts';
import type { Logger } from '../../../common/runtime/log/log.ts';
import { singleFlight } from '../../../common/runtime/tasks/single-flight.ts';

interface Options {
  buses: readonly Pick<Bus, 'flush'>[];
  log: Logger;
  dropletLostMs: number;
  /** A process that was stopped for longer may hold heartbeats that no longer count (ms). */
  gapMs: number;
  /** Joins the newest generation of the queue group, if this process has joined an older one. */
  joinNewest(): Promise<void>;
}

/**
 * Notices that this process was stopped for longer than a gap.
 *
 * A heartbeat that is delivered afterwards does not count: it may have waited all that time, and a heartbeat has no time of its
 * own. A round trip to NATS on each connection ends this, because nothing older can arrive after it. The others may have
 * taken over meanwhile, so this process also joins their generation of the queue group first.
 */
export class StallDetector {
  readonly #options: Options;
  /** When `tick` last ran (ms, monotonic clock). It ages beyond a gap only while this process is stopped. */
  #lastTickMs = performance.now();
  #catchingUp = false;
  readonly #catchUpOnce = singleFlight(() => this.#catchUp());

  constructor(options: Options) {
    this.#options = options;
  }

  /** Called several times a gap while this process runs. */
  tick(): void {
    if (this.isFresh()) this.#lastTickMs = performance.now();
  }

  /** Whether a heartbeat that is delivered now counts. */
  isFresh(): boolean {
    if (!this.#catchingUp && performance.now() - this.#lastTickMs > this.#options.gapMs) {
      this.#catchingUp = true;
      this.#options.log.warn(
        { event: 'ingestor_stalled' },
        'ingestor stalled: this process was stopped; heartbeats that waited are dropped',
      );
    }
    if (this.#catchingUp) void this.#catchUpOnce();
    return !this.#catchingUp;
  }

  /** How long a message that is delivered now may have waited in this process (ms), at most `droplet_lost`. */
  get stallMs(): number {
    return this.isFresh() ? 0 : Math.min(performance.now() - this.#lastTickMs, this.#options.dropletLostMs);
  }

  async #catchUp(): Promise<void> {
    // A connection that fails here is lost, and everything that waited in it with it.
    await Promise.allSettled(this.#options.buses.map((bus) => bus.flush()));
    try {
      await this.#options.joinNewest();
    } catch {
      return; // Redis or NATS failed: tried again with the next tick.
    }
    this.#lastTickMs = performance.now();
    this.#catchingUp = false;
  }
}
