import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../common/runtime/log/log.ts';

/** A process that runs until it ends or is stopped. */
export interface Running {
  pid: number;
  /** Resolves with its exit code, or null after a signal. */
  exited: Promise<number | null>;
  stop(): Promise<void>;
}

export interface Backoff {
  /** The wait before the first restart; each further wait is twice as long. */
  firstMs: number;
  maxMs: number;
  /** After a run of at least this length the next wait is `firstMs` again. */
  resetAfterMs: number;
}

export const BACKOFF: Backoff = { firstMs: 200, maxMs: 15_000, resetAfterMs: 20_000 };

/** The clock of the backoff. */
export interface Time {
  nowMs(): number;
  /** Rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const systemTime: Time = {
  nowMs: () => performance.now(),
  sleep: async (ms, signal) => void (await delay(ms, undefined, { signal })),
};

interface Options {
  name: string;
  /** Starts the process. A rejection counts as an end, and the start is tried again. */
  start(signal: AbortSignal): Promise<Running>;
  log: Logger;
  /** A process that runs already; it is supervised from here on. */
  first?: Running;
  /** Called when the process ended without `stop`. Returns true when it must not be started again. */
  isFinal?(code: number | null): boolean;
  backoff?: Backoff;
  time?: Time;
}

export interface Supervisor {
  name: string;
  /** Undefined while the process does not run. */
  pid(): number | undefined;
  /** Ends the process and its supervision. Returns when the process has ended. */
  stop(): Promise<void>;
  /** SIGKILL, without waiting. `stop` must be called as well. */
  kill(): void;
  /** Sends a signal to the process, if it runs. */
  signal(signal: NodeJS.Signals): void;
}

/** Keeps a process running: starts it again, after growing waits, whenever it ends. */
export function supervise(options: Options): Supervisor {
  const { name, log, backoff = BACKOFF, time = systemTime } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: Running | undefined = options.first;

  async function runOnce(): Promise<{ code?: number | null; problem?: string }> {
    try {
      current ??= await options.start(signal);
      log.info({ event: 'child_started', child: name, pid: current.pid }, `${name} started`);
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
    if (signal.aborted) await current.stop(); // `stop` was called during the start
    const code = await current.exited;
    current = undefined;
    return { code };
  }

  async function loop(): Promise<void> {
    let waitMs = backoff.firstMs;
    while (!signal.aborted) {
      const startedMs = time.nowMs();
      const { code, problem } = await runOnce();
      if (signal.aborted) return;
      if (code !== undefined && options.isFinal?.(code)) return;
      if (time.nowMs() - startedMs >= backoff.resetAfterMs) waitMs = backoff.firstMs;
      log.warn(
        { event: 'child_ended', child: name, code, problem, restart_in_s: waitMs / 1000 },
        `${name} ended; restart in ${waitMs / 1000} s`,
      );
      await time.sleep(waitMs, signal).catch(() => undefined); // aborted: the loop ends
      waitMs = Math.min(2 * waitMs, backoff.maxMs);
    }
  }

  const done = loop();
  return {
    name,
    pid: () => current?.pid,
    async stop() {
      stopping.abort();
      await current?.stop();
      await done;
    },
    kill() {
      stopping.abort();
      this.signal('SIGKILL');
    },
    signal(name) {
      try {
        if (current) process.kill(current.pid, name);
      } catch {
        // The process has ended since `current` was read.
      }
    },
  };
}
