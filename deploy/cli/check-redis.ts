import { Cluster, Redis } from 'ioredis';
import type { RedisSettings, Settings } from '../../common/settings.ts';
import type { Tried } from './check.ts';

/** The floor: what the scripts and commands need. */
const MAJOR_AT_LEAST = 7;

/** Connects and asks for the version; writes nothing. */
export async function tryRedis(settings: Settings, answerMs: number): Promise<Tried> {
  if (settings.redis === undefined) return { ok: 'none configured: "hm start" starts a private one' };
  const client = open(settings.redis, answerMs);
  let last = 'does not answer';
  client.on('error', (error: Error) => {
    last = error.message || last;
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(last)), answerMs);
  });
  try {
    const info = await Promise.race([client.connect().then(() => client.info('server')), late]);
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    if (Number.parseInt(version, 10) >= MAJOR_AT_LEAST) return { ok: `version ${version}` };
    return { problem: `version ${version}; at least ${MAJOR_AT_LEAST}.0 is needed` };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    // The client says only that it gave up; the error before it says why.
    return { problem: /closed|retries|refresh slots/i.test(words) ? last : words };
  } finally {
    clearTimeout(timer);
    client.disconnect();
  }
}

function open(where: RedisSettings, answerMs: number): Redis | Cluster {
  const once = {
    lazyConnect: true,
    connectTimeout: answerMs,
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
