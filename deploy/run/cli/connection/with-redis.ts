import { Cluster } from 'ioredis';
import type { Settings } from '../../../../common/config/settings.ts';
import type { RedisConnections } from '../../../../common/redis/connection/connections.ts';
import { createKeys, LAYOUT_VERSION } from '../../../../common/redis/keys.ts';
import { LayoutError } from '../../../../common/redis/layout.ts';
import { defineScripts } from '../../../../common/redis/scripts/scripts.ts';
import { withoutLogins } from '../../../../common/runtime/log/log.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { connectOnce, openOnce } from './connect-once.ts';
import { addressOf, findRedis } from './find-redis.ts';

/** A Redis that does not answer within this time is not available. */
const ANSWER_MS = 4_000;

/** A command's connection to the health manager's Redis. */
export interface RedisSession {
  redis: RedisConnections;
  settings: Settings;
  /** The time of the deployment, epoch milliseconds. */
  now(): Promise<number>;
}

/**
 * Connects to the health manager's Redis, runs `work` and disconnects. It creates no key.
 *
 * @throws ConfigError, LayoutError
 * @throws FailedError when Redis does not answer, or has no data of a health manager
 */
export async function withRedis(
  options: ConfigOption,
  work: (session: RedisSession) => Promise<number>,
): Promise<number> {
  const { settings, redis: target } = findRedis(options);
  const client = openOnce(target, ANSWER_MS);
  const failed = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    return new FailedError(withoutLogins(`Redis at ${addressOf(target)}: ${message}`), { cause: error });
  };
  try {
    const layout = createKeys(settings.redisPrefix, settings.slices).layout;
    const [version, slices] = await connectOnce(client, ANSWER_MS, () =>
      client.hmget(layout, 'version', 'slices'),
    ).catch((error: unknown) => {
      throw failed(error);
    });
    checkLayout(layout, version, slices);
    // The number of slices in Redis counts; the one in the configuration file may differ.
    const keys = createKeys(settings.redisPrefix, Number(slices));
    const scripts = defineScripts(client);
    const dedicated = () => {
      throw new Error('a command has only one connection');
    };
    const isCluster = client instanceof Cluster;
    const redis: RedisConnections = { client, keys, scripts, dedicated, isCluster };
    const now = async () => {
      // Like deployment_time.lua, but without writing. The key selects the same node of a cluster.
      const time = client.eval("return redis.call('TIME')", 1, keys.clock) as Promise<[string, string]>;
      const [[seconds, micros], ahead] = await Promise.all([time, client.hget(keys.clock, 'ahead')]);
      return Math.floor(Number(seconds) * 1000 + Number(micros) / 1000 + Number(ahead ?? 0));
    };
    return await work({ redis, settings, now }).catch((error: unknown) => {
      throw isRedisError(error) ? failed(error) : error;
    });
  } finally {
    client.disconnect();
  }
}

function checkLayout(key: string, version: string | null | undefined, slices: string | null | undefined) {
  if (!version || !slices) {
    throw new FailedError(`this Redis has no data of a health manager: expected ${key}, found none`);
  }
  if (version !== String(LAYOUT_VERSION)) {
    throw new LayoutError(
      `${key}: expected layout ${LAYOUT_VERSION}, found ${version}: this Redis was written by another version of the health manager`,
    );
  }
}

/** The connection broke, an answer is late, or Redis refused the command. */
function isRedisError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return (
    /Redis|ReplyError|ClusterAllFailed|MaxRetries/.test(`${error.name} ${error.constructor.name}`) ||
    (typeof code === 'string' && code.startsWith('ECONN')) ||
    /Connection is closed|Command timed out|Stream isn't writeable/.test(error.message)
  );
}
