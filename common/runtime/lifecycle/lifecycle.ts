/**
 * The resources of a process, released in reverse order when it stops.
 *
 * States: running -> stopping (`signal` is aborted, the releases run one by one) -> stopped.
 */
import { withTimeout } from '../tasks/with-timeout.ts';

type Release = () => void | Promise<void>;

export interface LifecycleOptions {
  /** Default time limit of a release; after it the next release begins. */
  stepMs?: number;
}

const DEFAULT_STEP_MS = 3_000;

/**
 * Time limit for finishing work in progress, which may wait for a slow Redis at each step. A process has 10 s to stop, so
 * this leaves some time for closing its connections.
 */
export const DRAIN_TIMEOUT_MS = 6_000;

interface Step {
  name: string;
  release: Release;
  timeoutMs: number;
}

export class Lifecycle {
  readonly #steps: Step[] = [];
  readonly #abort = new AbortController();
  readonly #stepMs: number;
  #stopping: Promise<void> | undefined;

  constructor({ stepMs = DEFAULT_STEP_MS }: LifecycleOptions = {}) {
    this.#stepMs = stepMs;
  }

  /** Aborted when the stop begins: ends loops and waits. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get stopping(): boolean {
    return this.#stopping !== undefined;
  }

  /**
   * Takes over a resource and releases it when the process stops. A process that is already stopping releases it at once:
   * for example a connection that came up too late.
   */
  own<T>(
    name: string,
    resource: T,
    release: (resource: T) => void | Promise<void>,
    timeoutMs = this.#stepMs,
  ): T {
    this.onStop(name, () => release(resource), timeoutMs);
    return resource;
  }

  /** The release that was registered last runs first. */
  onStop(name: string, release: Release, timeoutMs = this.#stepMs): void {
    this.#steps.push({ name, release, timeoutMs });
    if (this.#stopping === undefined) return;
    this.#stopping = chain(this.#stopping, () => this.#releaseAll());
    // `stop()` returns this promise. But if nobody calls it again, its rejection would be unhandled.
    this.#stopping.catch(() => {});
  }

  /**
   * Releases everything. A release that fails or takes too long does not keep the others from running.
   *
   * @throws Error that names the first failed step, with its error as the cause; every call gives the same result
   */
  stop(): Promise<void> {
    if (this.#stopping === undefined) {
      // Deferred, so that listeners of the signal run before the first release.
      this.#stopping = Promise.resolve().then(() => this.#releaseAll());
      this.#abort.abort();
    }
    return this.#stopping;
  }

  async #releaseAll(): Promise<void> {
    let first: Error | undefined;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { name, release, timeoutMs } = step;
      const onTimeout = () => {
        throw new Error(`took more than ${timeoutMs} ms`);
      };
      try {
        await withTimeout(release(), { timeoutMs, onTimeout });
      } catch (cause) {
        first ??= new Error(`${name} did not stop cleanly`, { cause });
      }
    }
    if (first !== undefined) throw first;
  }
}

/** Runs `next` after `before` has ended in any way, and keeps the first error. */
async function chain(before: Promise<void>, next: () => Promise<void>): Promise<void> {
  const [first] = await Promise.allSettled([before]);
  await next();
  if (first.status === 'rejected') throw first.reason;
}
