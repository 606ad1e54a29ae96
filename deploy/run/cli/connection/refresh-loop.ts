import { setTimeout as delay } from 'node:timers/promises';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { type RedisSession, withRedis } from './with-redis.ts';

const RETRY_MS = 1_000;

interface RefreshLoop {
  options: ConfigOption;
  /** Ends the command. */
  signal: AbortSignal;
  /** Works until `signal` aborts. Called again after each outage of Redis. */
  work(session: RedisSession): Promise<void>;
  /** Called when Redis does not answer any more. The connection is tried again every second. */
  onOutage(problem: string): void;
}

/**
 * Runs a command until its signal aborts, and reconnects after an outage of Redis.
 *
 * @throws FailedError when the first connection fails
 */
export async function runRefreshLoop({ options, signal, work, onOutage }: RefreshLoop): Promise<number> {
  let connected = false;
  while (!signal.aborted) {
    try {
      await withRedis(options, async (session) => {
        connected = true;
        await work(session);
        return 0;
      });
    } catch (error) {
      if (signal.aborted) break;
      if (!connected || !(error instanceof FailedError)) throw error;
      onOutage(error.message);
      await pause(RETRY_MS, signal);
    }
  }
  return 0;
}

/** Waits until the time is over or the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Aborted by SIGINT, SIGTERM or SIGHUP. `release()` removes the handlers. */
export function abortOnSignals(): { end: AbortController; release(): void } {
  const end = new AbortController();
  const abort = () => end.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, abort);
  return {
    end,
    release: () => {
      for (const signal of signals) process.off(signal, abort);
    },
  };
}
