/** What the benchmark asks its load processes to do, and what they answer. One request at a time is answered once. */

/** Percentiles in ms. */
export interface Latency {
  count: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** What the heartbeats said since the beginning. */
export interface Told {
  /** Heartbeats. */
  sent: number;
  /** Instances that the last heartbeats of their DEAs said to be STARTING; all others are RUNNING. */
  starting: number;
}

/** How the starts that had to come came. */
export interface Came {
  /** From each one's cause to its `health.start`. */
  latency: Latency;
  /** From the first to the last. */
  seconds: number;
  missing: number;
  twice: number;
  /** For a droplet that nothing had happened to, or for another reason. */
  unasked: number;
  /** How many of one reason came one after the other, from the first on. */
  runs: { reason: string; count: number }[];
  /** The most within any ten seconds. */
  mostIn10s: number;
}

/** Instances to crash: `perS` a second, each of another droplet, the `from`th of a fleet of `of` and those after it. */
export interface Crashes {
  /** `crashed`: by default; `evacuated`: the DEA is shut down; `missing`: gone without a word. */
  reason?: 'crashed' | 'evacuated' | 'missing';
  /** Heartbeats list them no more: for starts that come late. */
  ended?: true;
  perS: number;
  from: number;
  count: number;
  of: number;
}

/** The simulated hosts and controller's ears. */
export interface CloudTasks {
  /**
   * Heartbeats of `deas` DEAs from now on, spread evenly over the period; `changes`: share of the instances of each
   * that change state every time. None: each DEA goes on with what it said last.
   */
  beat: { args: { deas: number; periodMs: number; changes: number }; result: null };
  /** No heartbeats any more; those that left have arrived at NATS. */
  hush: { args: Record<string, never>; result: Told };
  /** Crashes, and starts that are waited for. A droplet that is started runs again. */
  crash: { args: Crashes; result: Came };
  /** Crashes without waiting: `started` tells what becomes of them, and of those of the `more` after them. */
  exits: { args: Crashes; result: null };
  more: { args: Crashes; result: null };
  /** The starts after `exits`. */
  started: { args: Record<string, never>; result: Came };
  /** The controller says that it changed droplets, and has changed none. */
  update: { args: Crashes; result: null };
  /** A DEA falls silent: the starts of its instances, from its last heartbeat on. At most so many seconds are waited. */
  silence: { args: { dea: number; atMostS: number }; result: Came };
  /** It is heard again, and runs what was started since. */
  resume: { args: { dea: number }; result: null };
  /** Questions after the health of 100 droplets each; the time to the last of the replies. */
  query: {
    args: { perS: number; count: number; of: number };
    result: { latency: Latency; asked: number; complete: number; wrong: number; seconds: number };
  };
  /** What was asked of the controller since the last time this was asked. */
  asked: {
    args: Record<string, never>;
    result: { starts: number; stops: number; twice: number };
  };
}

/** A subscriber to heartbeats that throws them away. */
export interface SubscriberTasks {
  count: { args: Record<string, never>; result: { received: number } };
}

/** The simulated controller's bulk API. */
export interface ControllerTasks {
  /** From now on it lists so many droplets. */
  list: { args: { droplets: number }; result: { port: number } };
}

export interface Request {
  id: number;
  task: string;
  args: unknown;
}

export type Reply = { id: number; result: unknown } | { id: number; error: string };

/** What a load process does with each task. */
export type Handlers<T> = {
  [K in keyof T]: T[K] extends { args: infer A; result: infer R } ? (args: A) => R | Promise<R> : never;
};

/** In a load process: answers the benchmark's requests until the benchmark is gone. */
export function serveTasks<T>(handlers: Handlers<T>): void {
  const table = handlers as Record<string, (args: unknown) => unknown>;
  process.on('message', async ({ id, task, args }: Request) => {
    let reply: Reply;
    try {
      const handler = table[task];
      if (handler === undefined) throw new Error(`no task ${task}`);
      reply = { id, result: (await handler(args)) ?? null };
    } catch (error) {
      reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => {}); // Ctrl-C reaches the whole group; the benchmark ends us
  process.send?.({ id: 0, result: 'ready' } satisfies Reply);
}
