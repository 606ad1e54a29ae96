import type { Bus } from '../common/bus.ts';

/** Lets deliveries through while NATS is there; while it is away they wait here, unchecked and unsent. */
export class Gate {
  readonly #bus: Bus;
  readonly #signal: AbortSignal;
  #waiting: (() => void)[] = [];

  constructor(bus: Bus, signal: AbortSignal) {
    this.#bus = bus;
    this.#signal = signal;
    bus.onRestored(() => this.#letThrough());
    signal.addEventListener('abort', () => this.#letThrough());
  }

  /** @returns false if the process stops before NATS is back */
  async open(): Promise<boolean> {
    while (!this.#bus.connected()) {
      if (this.#signal.aborted) return false;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return true;
  }

  #letThrough(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
