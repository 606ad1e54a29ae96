/**
 * Who owns what is released by whom: the resources of a process, released last-in first-out when it stops.
 *
 * States: running -> stopping (`signal` is aborted, releases run one by one) -> stopped.
 */

type Release = () => void | Promise<void>;

export interface LifecycleOptions {
  /** The most that a release may take that says nothing else; after it the next one's turn comes. */
  stepMs?: number;
}

const DEFAULT_STEP_MS = 3_000;

/**
 * What is in hand may take so long to finish instead, as when Redis is slow and each step of the work waits for it; of the
 * 10 s that a process has to stop, a little is left for closing its connections.
 */
export const IN_HAND_MS = 6_000;

interface Step {
  name: string;
  release: Release;
  atMostMs: number;
}

export class Lifecycle {
  readonly #steps: Step[] = [];
  readonly #abort = new AbortController();
  readonly #stepMs: number;
  #stopping: Promise<void> | undefined;

  constructor({ stepMs = DEFAULT_STEP_MS }: LifecycleOptions = {}) {
    this.#stepMs = stepMs;
  }

  /** Aborted at the beginning of the stop: for loops and waits to end. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get stopping(): boolean {
    return this.#stopping !== undefined;
  }

  /**
   * The resource is the process's from here on, and is released when it stops; at once if it is stopping
   * already (a connection that came up too late).
   */
  own<T>(
    name: string,
    resource: T,
    release: (resource: T) => void | Promise<void>,
    atMostMs = this.#stepMs,
  ): T {
    this.onStop(name, () => release(resource), atMostMs);
    return resource;
  }

  /** The latest one given runs first. It may take `atMostMs`. */
  onStop(name: string, release: Release, atMostMs = this.#stepMs): void {
    this.#steps.push({ name, release, atMostMs });
    if (this.#stopping === undefined) return;
    this.#stopping = chain(this.#stopping, () => this.#releaseAll());
    // Not lost: `stop()` gives it. But nobody has to call that again, and then it is nobody's rejection.
    this.#stopping.catch(() => {});
  }

  /**
   * Releases everything; a step that fails or takes too long does not keep the others from running.
   *
   * @throws the first error of a step, as the cause of an error that names the step. Every call gives the
   *   same end.
   */
  stop(): Promise<void> {
    if (this.#stopping === undefined) {
      // Deferred, so that what listens to the signal runs before the first release.
      this.#stopping = Promise.resolve().then(() => this.#releaseAll());
      this.#abort.abort();
    }
    return this.#stopping;
  }

  async #releaseAll(): Promise<void> {
    let first: Error | undefined;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await bounded(step);
      } catch (cause) {
        first ??= new Error(`${step.name} did not stop cleanly`, { cause });
      }
    }
    if (first !== undefined) throw first;
  }
}

async function bounded({ release, atMostMs }: Step): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took more than ${atMostMs} ms`)), atMostMs);
  });
  try {
    await Promise.race([release(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `next` after `before`, whatever became of it, and keeps the first error. */
async function chain(before: Promise<void>, next: () => Promise<void>): Promise<void> {
  const [first] = await Promise.allSettled([before]);
  await next();
  if (first.status === 'rejected') throw first.reason;
}
