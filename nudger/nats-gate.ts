import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '../common/nats/bus.ts';

/** NATS may be back in a moment; for longer a job does not wait here: another nudger may have NATS. */
const WAITS_AT_MOST_MS = 1_000;

/** Lets deliveries through while NATS is there; while it is away they wait here for a moment, unchecked and unsent. */
export class NatsGate {
  readonly #bus: Bus;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<() => void>();

  constructor(bus: Bus, signal: AbortSignal) {
    this.#bus = bus;
    this.#signal = signal;
    bus.onRestored(() => this.#letThrough());
    signal.addEventListener('abort', () => this.#letThrough());
  }

  /** @returns false if NATS is not back in a moment, or the process stops before */
  async waitUntilConnected(): Promise<boolean> {
    if (this.#bus.connected()) return true;
    if (this.#signal.aborted) return false;
    const timer = new AbortController();
    const goOn = () => timer.abort();
    this.#waiting.add(goOn);
    await delay(WAITS_AT_MOST_MS, undefined, { signal: timer.signal }).catch(() => undefined); // let through: it is aborted
    this.#waiting.delete(goOn);
    return this.#bus.connected();
  }

  #letThrough(): void {
    for (const goOn of this.#waiting) goOn();
  }
}
