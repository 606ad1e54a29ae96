import type { RedisSettings } from '../../../../common/config/settings.ts';
import { openClient } from '../../../../common/redis/client.ts';
import type { RedisClient } from '../../../../common/redis/scripts/scripts.ts';

/**
 * A connection for one command: it tries once, and whatever does not answer in time fails. `connect()` it.
 *
 * @param answerMs what does not answer within this is away
 */
export function openOnce(where: RedisSettings, answerMs: number): RedisClient {
  return openClient(where, {
    retry: () => null,
    connection: {
      lazyConnect: true,
      connectTimeout: answerMs,
      commandTimeout: answerMs,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    },
    cluster: { lazyConnect: true },
  });
}

/**
 * Connects and asks something first.
 *
 * @throws Error with the reason, as a person needs it, when there is no answer in time
 */
export async function connectOnce<T>(
  client: RedisClient,
  answerMs: number,
  ask: () => Promise<T>,
): Promise<T> {
  let last = 'does not answer';
  client.on('error', (error: Error) => {
    last = error.message || last;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(last)), answerMs);
  });
  try {
    return await Promise.race([client.connect().then(ask), late]);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    // The client says only that it gave up; the error before it says why.
    throw new Error(/closed|retries|refresh slots/i.test(words) ? last : words, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
