import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * A computer, or a process, of the simulation. The code that runs within it wakes up only by a timer or by a message, and
 * both are the simulation's. So a host can be stopped between any two awaits: it gets neither until it is resumed.
 */
export class Host {
  readonly name: string;
  /** How far its wall clock is ahead (ms). */
  wallOffsetMs = 0;
  #state: 'running' | 'stopped' | 'dead' = 'running';
  readonly #onChange = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }

  /** The host whose code runs now. */
  static current(): Host | undefined {
    return CURRENT.getStore();
  }

  /** Runs `work`, and all that it starts, on this host. */
  within<T>(work: () => T): T {
    return CURRENT.run(this, work);
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** As SIGSTOP: its connections stay open, and what arrives waits. */
  pause(): void {
    if (this.#state === 'running') this.#change('stopped');
  }

  resume(): void {
    if (this.#state === 'stopped') this.#change('running');
  }

  /** As SIGKILL: no line of its code runs any more, and its connections close. */
  kill(): void {
    if (this.#state !== 'dead') this.#change('dead');
    this.#onChange.clear();
  }

  /** Calls `listener` after each pause, resume and kill, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => void this.#onChange.delete(listener);
  }

  #change(state: 'running' | 'stopped' | 'dead'): void {
    this.#state = state;
    for (const listener of [...this.#onChange]) listener();
  }
}

const CURRENT = new AsyncLocalStorage<Host>();
