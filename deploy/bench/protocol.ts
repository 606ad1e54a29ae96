/** What the benchmark asks its load processes to do, and what they answer. One request at a time is answered once. */

/** Percentiles in ms. */
export interface Latency {
  count: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** The simulated hosts and controller's ears. */
export interface CloudTasks {
  /** Heartbeats of `deas` DEAs from now on, spread evenly over the period; `changes`: share of states that change each time. */
  beat: { args: { deas: number; periodMs: number; changes: number }; result: null };
  /** No heartbeats any more. */
  hush: { args: Record<string, never>; result: { sent: number } };
  /** Crashes at this rate, each of another droplet, the `from`th and those after it; the time from each to its `health.start`. */
  crash: {
    args: { perS: number; from: number; count: number; of: number };
    result: { latency: Latency; missing: number; twice: number; unasked: number };
  };
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
