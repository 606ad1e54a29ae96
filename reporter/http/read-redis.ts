import type { Health } from '../../common/runtime/health.ts';
import { withTimeout } from '../../common/runtime/tasks/with-timeout.ts';

/** A person does not wait longer for a page. */
const TIMEOUT_MS = 5_000;

/** Redis does not answer. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}

/**
 * Runs a read of Redis with a timeout.
 *
 * @throws UnavailableError at once if Redis is known to be unavailable, or when the read takes longer than TIMEOUT_MS
 */
export async function readRedis<T>(health: Health, read: () => Promise<T>): Promise<T> {
  const problem = health.problems().get('redis');
  if (problem !== undefined) throw new UnavailableError(`Redis does not answer: ${problem}`);
  return withTimeout(read(), {
    timeoutMs: TIMEOUT_MS,
    onTimeout: () => {
      throw new UnavailableError(`Redis does not answer within ${TIMEOUT_MS / 1000} s`);
    },
  });
}

/** As `readRedis`; resolves to undefined if Redis does not answer. */
export async function readIfAvailable<T>(health: Health, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await readRedis(health, read);
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}
