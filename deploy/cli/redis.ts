import { Cluster, Redis } from 'ioredis';
import type { RedisSettings } from '../../common/settings.ts';

/**
 * A connection for one command: it tries once, and whatever does not answer in time fails. `connect()` it.
 *
 * @param answerMs what does not answer within this is away
 */
export function openOnce(where: RedisSettings, answerMs: number): Redis | Cluster {
  const once = {
    lazyConnect: true,
    connectTimeout: answerMs,
    commandTimeout: answerMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  };
  switch (where.kind) {
    case 'single':
      return new Redis(where.url, once);
    case 'sentinel': {
      const sentinels = where.nodes
        .map((node) => new URL(node))
        .map(({ hostname, port }) => ({ host: hostname, port: Number(port || 26_379) }));
      return new Redis({ ...once, name: where.name, sentinels, sentinelRetryStrategy: () => null });
    }
    case 'cluster':
      return new Cluster(where.nodes, {
        lazyConnect: true,
        clusterRetryStrategy: () => null,
        redisOptions: once,
      });
  }
}

/**
 * Connects and asks something first.
 *
 * @throws Error with the reason, as a person needs it, when there is no answer in time
 */
export async function connectOnce<T>(
  client: Redis | Cluster,
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
