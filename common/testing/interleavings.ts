import type { RedisConnections } from '../redis/connection/connections.ts';
import type { ScriptName, Scripts } from '../redis/scripts/scripts.ts';

/** Never a step: it reads only what holds depend on, which these tests do not change. Each further step doubles the number of orders. */
const UNGATED: ReadonlySet<ScriptName> = new Set<ScriptName>(['read_fleet_facts']);

/** One call to Redis that waits for its turn. */
interface Step {
  task: string;
  name: string;
  run(): Promise<unknown>;
}

/**
 * Tasks whose Redis scripts run one at a time, in an order that the test chooses. So a test can run every interleaving of
 * several processes, end one of them at any point, and delay a write.
 *
 * A task gets its own `RedisConnections`, whose scripts wait until they are chosen. All other commands run at once.
 */
export class Steps {
  readonly #redis: RedisConnections;
  #waiting: Step[] = [];
  readonly #tasks = new Map<string, { done: boolean; promise: Promise<unknown> }>();
  #changed: () => void = () => undefined;

  constructor(redis: RedisConnections) {
    this.#redis = redis;
  }

  /** Starts a task; it waits at its first step. */
  task<T>(name: string, work: (redis: RedisConnections) => Promise<T>): Promise<T> {
    const promise = work(this.#connections(name));
    const entry = { done: false, promise };
    this.#tasks.set(name, entry);
    const ended = () => {
      entry.done = true;
      this.#changed();
    };
    promise.then(ended, ended);
    return promise;
  }

  /** Resolves when every task waits or has ended, with the steps that can be taken. A task with concurrent calls has several. */
  async ready(): Promise<readonly Step[]> {
    while (!this.#allWaiting()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.#waiting;
  }

  /** Runs a step and waits for its end. */
  async take(step: Step): Promise<void> {
    this.#waiting = this.#waiting.filter((other) => other !== step);
    await step.run();
    // The task runs on to its next Redis call within this turn of the event loop.
    await new Promise(setImmediate);
  }

  /** Throws the error of an ended task that failed. */
  async results(): Promise<void> {
    for (const task of this.#tasks.values()) if (task.done) await task.promise;
  }

  #allWaiting(): boolean {
    return [...this.#tasks].every(
      ([name, task]) => task.done || this.#waiting.some((step) => step.task === name),
    );
  }

  #wait(task: string, name: string, run: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const taken = () => run().then(resolve, reject);
      this.#waiting.push({ task, name, run: taken });
      this.#changed();
    });
  }

  #connections(task: string): RedisConnections {
    const { run } = this.#redis.scripts;
    const scripts: Scripts = {
      run: (name, keys, args) =>
        UNGATED.has(name) ? run(name, keys, args) : this.#wait(task, name, () => run(name, keys, args)),
    };
    return { ...this.#redis, scripts };
  }
}

/** Runs at a time, for speed. */
const CONCURRENT_RUNS = 16;

/**
 * Explores all interleavings: calls `run` once for each possible sequence of choices. Some runs are concurrent, so each needs
 * its own keys.
 *
 * @returns the number of interleavings
 */
export async function exploreInterleavings(
  run: (choose: (count: number) => number) => Promise<void>,
): Promise<number> {
  let explored = 0;
  /** Prefixes of sequences that are still to be run. */
  const pending: number[][] = [[]];
  const explore = async (prefix: number[]) => {
    const choices: number[] = [];
    await run((count) => {
      const choice = prefix[choices.length] ?? 0;
      // Behind the prefix this run takes 0; every other choice is left for a later run.
      if (choices.length >= prefix.length)
        for (let other = 1; other < count; other++) pending.push([...choices, other]);
      choices.push(choice);
      return choice;
    });
    explored++;
  };
  while (pending.length > 0) await Promise.all(pending.splice(-CONCURRENT_RUNS).map(explore));
  return explored;
}
