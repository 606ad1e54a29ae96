import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../common/runtime/log.ts';

/** Something that runs until it ends by itself or is stopped. */
export interface Running {
  pid: number;
  /** Its exit code when it ends, null when a signal ended it. */
  exited: Promise<number | null>;
  stop(): Promise<void>;
}

export interface Backoff {
  /** Wait before the first restart; each further one waits twice as long. */
  firstMs: number;
  mostMs: number;
  /** Who ran this long ran well: its next restart waits `firstMs` again. */
  ranWellMs: number;
}

export const BACKOFF: Backoff = { firstMs: 200, mostMs: 15_000, ranWellMs: 20_000 };

/** The time that backoff goes by. */
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
  /** Starts it. A rejection counts as an end and is tried again. */
  start(signal: AbortSignal): Promise<Running>;
  log: Logger;
  /** Already running: kept from here on. */
  first?: Running;
  /** Called when it ended by itself; true: do not start it again. */
  final?(code: number | null): boolean;
  backoff?: Backoff;
  time?: Time;
}

export interface Keeper {
  name: string;
  /** Undefined while it is not running. */
  pid(): number | undefined;
  /** Ends it for good. Returns when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL, without waiting; `stop` was or must be called as well. */
  kill(): void;
}

/** Keeps something running: starts it again, with growing waits, whenever it ends. */
export function keep(options: Options): Keeper {
  const { name, log, backoff = BACKOFF, time = systemTime } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: Running | undefined = options.first;

  /** Runs it once; says how it ended. */
  async function once(): Promise<{ code?: number | null; problem?: string }> {
    try {
      current ??= await options.start(signal);
      log.info({ event: 'child_started', child: name, pid: current.pid }, `${name} started`);
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
    if (signal.aborted) await current.stop(); // told to stop while it was being started
    const code = await current.exited;
    current = undefined;
    return { code };
  }

  async function loop(): Promise<void> {
    let waitMs = backoff.firstMs;
    while (!signal.aborted) {
      const beganMs = time.nowMs();
      const { code, problem } = await once();
      if (signal.aborted) return;
      if (code !== undefined && options.final?.(code)) return;
      if (time.nowMs() - beganMs >= backoff.ranWellMs) waitMs = backoff.firstMs;
      log.warn(
        { event: 'child_ended', child: name, code, problem, restart_in_s: waitMs / 1000 },
        `${name} ended; restarting it in ${waitMs / 1000} s`,
      );
      await time.sleep(waitMs, signal).catch(() => undefined); // aborted: the loop's condition sees it
      waitMs = Math.min(2 * waitMs, backoff.mostMs);
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
      try {
        if (current) process.kill(current.pid, 'SIGKILL');
      } catch {
        // It ended at this very moment, as it was to.
      }
    },
  };
}
