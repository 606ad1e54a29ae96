import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '../common/nats/bus.ts';

/** A short reconnect is waited out; after this time the job goes back, because another nudger may be connected. */
const MAX_WAIT_MS = 1_000;

/** Holds deliveries back, unchecked and unsent, while NATS is disconnected. */
export class NatsGate {
  readonly #bus: Bus;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<() => void>();

  constructor(bus: Bus, signal: AbortSignal) {
    this.#bus = bus;
    this.#signal = signal;
    bus.onRestored(() => this.#releaseAll());
    signal.addEventListener('abort', () => this.#releaseAll());
  }

  /** @returns false if NATS is still disconnected after MAX_WAIT_MS, or when the process stops */
  async waitUntilConnected(): Promise<boolean> {
    if (this.#bus.connected()) return true;
    if (this.#signal.aborted) return false;
    const timer = new AbortController();
    const release = () => timer.abort();
    this.#waiting.add(release);
    await delay(MAX_WAIT_MS, undefined, { signal: timer.signal }).catch(() => undefined); // rejects when released
    this.#waiting.delete(release);
    return this.#bus.connected();
  }

  #releaseAll(): void {
    for (const release of this.#waiting) release();
  }
}
