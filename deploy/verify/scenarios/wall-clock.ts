import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Gives each process of a test its own wall clock. `Date.now()` follows the offset of the process whose code calls it,
 * also from timers, sockets and promises that the process made.
 */
export class WallClocks {
  readonly #offsetMs = new AsyncLocalStorage<number>();
  readonly #real = Date.now;

  /** Replaces `Date.now` until `restore`. */
  install(): void {
    Date.now = () => this.#real() + (this.#offsetMs.getStore() ?? 0);
  }

  restore(): void {
    Date.now = this.#real;
  }

  /** Runs `work`, and everything that it starts, with a wall clock that is `offsetMs` ahead. */
  within<T>(offsetMs: number, work: () => T): T {
    return this.#offsetMs.run(offsetMs, work);
  }
}
