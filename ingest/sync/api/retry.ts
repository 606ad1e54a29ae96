import { setTimeout as delay } from 'node:timers/promises';
import { BulkApiError, PassFailedError } from '../errors.ts';

/** Contract, bulk API: at most 10 failures in a row. */
const TRIES = 10;
const FIRST_DELAY_MS = 250;

export interface RetryOptions {
  signal: AbortSignal;
  /** Longest wait between two tries (ms): `postpone_update`. */
  maxDelayMs: number;
  firstDelayMs?: number;
  /** Called after every failure. */
  onFailure(error: BulkApiError, tries: number): void;
  /** Replaces the real wait; for tests. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

const realWait = (ms: number, signal: AbortSignal) => delay<void>(ms, undefined, { signal });

/**
 * Repeats a request until it succeeds, with exponential backoff.
 *
 * @throws PassFailedError after the 10th failure in a row, or at once if the error is not retryable; the signal's
 *   reason when it is aborted; whatever else `request` throws
 */
export async function withRetry<T>(request: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, maxDelayMs, firstDelayMs = FIRST_DELAY_MS, wait = realWait } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof BulkApiError)) throw error;
      options.onFailure(error, tries);
      if (!error.retryable) throw new PassFailedError(error.reason, error.message, { cause: error });
      if (tries === TRIES) {
        throw new PassFailedError(
          error.reason,
          `${TRIES} tries in a row failed; the last error: ${error.message}`,
          { cause: error },
        );
      }
      // A first 401 mostly means that the credentials have changed: they are requested again at once.
      if (error.reason === 'unauthorized' && tries === 1) continue;
    }
    const upToMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (tries - 1));
    // Jitter, so that several deployments do not retry at the same time.
    await wait(upToMs * (0.5 + Math.random() / 2), signal);
  }
}
