import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Wall clocks that differ between the processes of one test: `Date.now()` tells the time of the process in
 * whose code it is called (also from timers, sockets and promises that the process made).
 */
export class WallClocks {
  readonly #offsetMs = new AsyncLocalStorage<number>();
  readonly #real = Date.now;

  /** From here on `Date.now` is ours, until `restore`. */
  install(): void {
    Date.now = () => this.#real() + (this.#offsetMs.getStore() ?? 0);
  }

  restore(): void {
    Date.now = this.#real;
  }

  /** Runs what is begun in `work` with a wall clock that is so much ahead. */
  within<T>(offsetMs: number, work: () => T): T {
    return this.#offsetMs.run(offsetMs, work);
  }
}
