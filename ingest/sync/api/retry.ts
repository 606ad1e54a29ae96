import { setTimeout as delay } from 'node:timers/promises';
import { BulkApiError, PassFailedError } from '../errors.ts';

/** Contract: bulk API: at most 10 failures in a row. */
const TRIES = 10;
const FIRST_DELAY_MS = 250;

export interface RetryOptions {
  signal: AbortSignal;
  /** Longest wait between two tries: `postpone_update`. */
  delayAtMostMs: number;
  firstDelayMs?: number;
  /** Hears of every failure. */
  failed(error: BulkApiError, tries: number): void;
  /** Waits so long, in real time; for tests. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

const realWait = (ms: number, signal: AbortSignal) => delay<void>(ms, undefined, { signal });

/**
 * Tries a request until it succeeds, with growing waits between.
 *
 * @throws PassFailedError after the 10th failure in a row, or at once if another try is of no use; the signal's
 *   reason when it is aborted; whatever else `request` throws
 */
export async function withRetry<T>(request: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, delayAtMostMs, firstDelayMs = FIRST_DELAY_MS, wait = realWait } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof BulkApiError)) throw error;
      options.failed(error, tries);
      if (!error.retryable) throw new PassFailedError(error.reason, error.message, { cause: error });
      if (tries === TRIES) {
        throw new PassFailedError(
          error.reason,
          `${TRIES} tries in a row failed, the last: ${error.message}`,
          { cause: error },
        );
      }
      // The first 401 most often means new credentials, and those are asked for at once.
      if (error.reason === 'unauthorized' && tries === 1) continue;
    }
    const upToMs = Math.min(delayAtMostMs, firstDelayMs * 2 ** (tries - 1));
    // Jitter: several deployments do not come back to a controller in step.
    await wait(upToMs * (0.5 + Math.random() / 2), signal);
  }
}
