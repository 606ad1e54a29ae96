import type { RedisConnections } from '../redis/connections.ts';
import type { ScriptName, Scripts } from '../redis/scripts/scripts.ts';

/** Never a step: what the holds follow from does not change while droplets do, and every further step doubles the orders. */
const UNGATED: ReadonlySet<ScriptName> = new Set<ScriptName>(['read_fleet_facts']);

/** One call to Redis that waits for its turn. */
interface Step {
  task: string;
  name: string;
  run(): Promise<unknown>;
}

/**
 * Tasks whose calls to Redis are made one at a time, in an order that the test chooses: with it a test walks
 * through the interleavings of several processes, each ending of one at any point, and writes that come late.
 *
 * A task gets its own `RedisConnections`, on which every script that touches droplets waits until it is chosen. All
 * else goes straight to Redis.
 */
export class Steps {
  readonly #redis: RedisConnections;
  #waiting: Step[] = [];
  readonly #tasks = new Map<string, { done: boolean; promise: Promise<unknown> }>();
  #changed: () => void = () => undefined;

  constructor(redis: RedisConnections) {
    this.#redis = redis;
  }

  /** Starts a task; it stands still at its first step. */
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

  /** The steps that can be taken now, once every task stands still. Of one task several, if it makes several calls at once. */
  async ready(): Promise<readonly Step[]> {
    while (!this.#standsStill()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.#waiting;
  }

  /** Takes a step and waits for its end. */
  async take(step: Step): Promise<void> {
    this.#waiting = this.#waiting.filter((other) => other !== step);
    await step.run();
    // What its task does next without asking Redis comes within this turn of the event loop.
    await new Promise(setImmediate);
  }

  /** The ends of all tasks that have ended; a failure of one fails this. */
  async results(): Promise<void> {
    for (const task of this.#tasks.values()) if (task.done) await task.promise;
  }

  #standsStill(): boolean {
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

/** Ways that are walked side by side, for speed. */
const AT_ONCE = 16;

/**
 * Walks through all ways to choose: runs `run` again and again, each time with another sequence of choices,
 * until there is none left. Some runs go side by side, so each needs a world of its own.
 *
 * @returns how many ways there were
 */
export async function everyWay(run: (choose: (of: number) => number) => Promise<void>): Promise<number> {
  let ways = 0;
  const begun: number[][] = [[]];
  const walk = async (first: number[]) => {
    const way: number[] = [];
    await run((of) => {
      const choice = first[way.length] ?? 0;
      // Where the first choices end, all others than 0 are left for later.
      if (way.length >= first.length) for (let other = 1; other < of; other++) begun.push([...way, other]);
      way.push(choice);
      return choice;
    });
    ways++;
  };
  while (begun.length > 0) await Promise.all(begun.splice(-AT_ONCE).map(walk));
  return ways;
}
