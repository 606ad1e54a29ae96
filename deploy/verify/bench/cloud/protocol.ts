/** The tasks of the load processes. The benchmark sends a request, and the load process sends one reply. */

/** Percentiles in ms. */
export interface Latency {
  count: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface HeartbeatTotals {
  /** Heartbeats sent since the start. */
  sent: number;
  /** Instances that the last heartbeats of their DEAs listed as STARTING; all others are RUNNING. */
  starting: number;
}

/** The starts that were expected, and what came. */
export interface StartStats {
  /** From each one's cause to its `health.start`. */
  latency: Latency;
  /** From the first start to the last. */
  seconds: number;
  missing: number;
  repeated: number;
  /** Starts without a cause, or with another reason than expected. */
  unexpected: number;
  /** How many starts with the same reason came one after the other, from the first on. */
  runs: { reason: string; count: number }[];
  /** The most within any ten seconds. */
  mostIn10s: number;
}

/** A batch of droplets, numbers `from` to `from + count - 1` of a fleet of `of`, taken at `perS` a second. */
export interface Batch {
  perS: number;
  from: number;
  count: number;
  of: number;
}

export interface EndBatch extends Batch {
  /** `crashed` (default); `evacuated`: the DEA shuts down; `missing`: the instance ends without an exit. */
  reason?: 'crashed' | 'evacuated' | 'missing';
  /** Heartbeats do not list the instances any more: for starts that come late. */
  unlisted?: true;
}

/** The DEAs, and the part of the controller that receives requests. */
export interface CloudTasks {
  /**
   * Sends the heartbeats of `deas` DEAs from now on, evenly spread over the period. `changes` is the share of the
   * instances of each DEA that change state with every heartbeat; with 0, each DEA repeats its last states.
   */
  sendHeartbeats: { args: { deas: number; periodMs: number; changes: number }; result: null };
  /** Stops the heartbeats. NATS has received those that left. */
  stopHeartbeats: { args: Record<string, never>; result: HeartbeatTotals };
  /** Waits until the connection to NATS, which was lost, is back. */
  awaitConnection: { args: Record<string, never>; result: null };
  /** Ends instances and waits for their starts. A started droplet runs again. */
  endAndAwaitStarts: { args: EndBatch; result: StartStats };
  /** Ends instances without waiting for their starts. */
  end: { args: EndBatch; result: null };
  /** Adds to the last `end`. */
  endMore: { args: EndBatch; result: null };
  /** Waits for the starts after `end` and `endMore`. */
  awaitStarts: { args: Record<string, never>; result: StartStats };
  /** The controller sends `droplet.updated` for droplets that did not change. */
  update: { args: Batch; result: null };
  /** Silences a DEA and waits for the starts of its instances, for at most `maxS`. */
  silenceDea: { args: { dea: number; maxS: number }; result: StartStats };
  /** The DEA sends heartbeats again, with the instances that were started meanwhile. */
  resumeDea: { args: { dea: number }; result: null };
  /** Queries the health of 100 droplets each; the latency is the time to the last reply. `bare`: asks the bare replier. */
  query: {
    args: { perS: number; count: number; of: number; bare?: true };
    result: { latency: Latency; sent: number; complete: number; wrong: number; seconds: number };
  };
  /** The requests that the controller received since the last call. */
  takeRequestCounts: {
    args: Record<string, never>;
    result: { starts: number; stops: number; repeated: number };
  };
}

/** A subscriber to heartbeats that discards them. */
export interface SubscriberTasks {
  count: { args: Record<string, never>; result: { received: number } };
}

/** Answers each question on `BARE_QUESTION` with constant replies. */
export interface ReplierTasks {
  count: { args: Record<string, never>; result: { answered: number } };
}

export const BARE_QUESTION = 'bench.health';
export const DROPLETS_A_QUERY = 100;

/** The controller's bulk API. */
export interface ControllerTasks {
  /** Lists this many droplets from now on. */
  list: { args: { droplets: number }; result: { port: number } };
}

export interface Request {
  id: number;
  task: string;
  args: unknown;
}

export type Reply = { id: number; result: unknown } | { id: number; error: string };

/** The task handlers of a load process. */
export type Handlers<T> = {
  [K in keyof T]: T[K] extends { args: infer A; result: infer R } ? (args: A) => R | Promise<R> : never;
};

/** Serves the benchmark's requests in a load process, until the benchmark ends. */
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
  process.on('SIGINT', () => {}); // Ctrl-C reaches the whole process group; the benchmark ends this process
  process.send?.({ id: 0, result: 'ready' } satisfies Reply);
}
