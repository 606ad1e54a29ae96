import { setTimeout as delay } from 'node:timers/promises';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { type Query, withRedis } from './with-redis.ts';

const RETRY_MS = 1_000;

interface Staying {
  options: ConfigOption;
  /** Aborted: the command is to end. */
  signal: AbortSignal;
  /** Does its work until `signal` is aborted. */
  work(query: Query): Promise<void>;
  /** Is told when Redis does not answer any more; it is tried again every second. */
  away(problem: string): void;
}

/**
 * Runs a command that goes on until it is told to end, also over an outage of Redis.
 *
 * @throws FailedError when Redis cannot be reached to begin with
 */
export async function stay({ options, signal, work, away }: Staying): Promise<number> {
  let reached = false;
  while (!signal.aborted) {
    try {
      await withRedis(options, async (query) => {
        reached = true;
        await work(query);
        return 0;
      });
    } catch (error) {
      if (signal.aborted) break;
      if (!reached || !(error instanceof FailedError)) throw error;
      away(error.message);
      await pause(RETRY_MS, signal);
    }
  }
  return 0;
}

/** Waits, but not beyond the end. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Aborted by Ctrl-C and whatever else tells a program to end. `over()` gives the signals back. */
export function untilToldToEnd(): { end: AbortController; over(): void } {
  const end = new AbortController();
  const abort = () => end.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, abort);
  return {
    end,
    over: () => {
      for (const signal of signals) process.off(signal, abort);
    },
  };
}
