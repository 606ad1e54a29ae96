import type { RedisSettings } from '../../../../common/config/settings.ts';
import { openClient } from '../../../../common/redis/connection/client.ts';
import type { RedisClient } from '../../../../common/redis/scripts/scripts.ts';
import { withTimeout } from '../../../../common/runtime/tasks/with-timeout.ts';

/**
 * A client for one command, not connected yet. It does not reconnect, and each step fails after a time-out.
 *
 * @param answerMs the time-out of the connect and of each command
 */
export function openOnce(redis: RedisSettings, answerMs: number): RedisClient {
  return openClient(redis, {
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
 * Connects and sends the first command.
 *
 * @param answerMs the time-out of both together
 * @throws Error with the reason, readable for an operator, when there is no answer in time
 */
export async function connectOnce<T>(
  client: RedisClient,
  answerMs: number,
  firstCommand: () => Promise<T>,
): Promise<T> {
  let lastError = 'does not answer';
  client.on('error', (error: Error) => {
    lastError = error.message || lastError;
  });
  try {
    return await withTimeout(client.connect().then(firstCommand), {
      timeoutMs: answerMs,
      onTimeout: () => {
        throw new Error(lastError);
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // These messages of the client only report that it gave up. The error event before has the reason.
    const reason = /closed|retries|refresh slots/i.test(message) ? lastError : message;
    throw new Error(reason, { cause: error });
  }
}
