import { Cluster, Redis } from 'ioredis';
import type { Health } from './health.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { createKeys, type Keys, LAYOUT_VERSION } from './schema.ts';
import { defineScripts, type RedisClient, type Scripts } from './scripts/scripts.ts';
import type { Settings } from './settings.ts';

export type { RedisClient };

/** What a process has of Redis. */
export interface RedisConnections {
  /**
   * The connection for commands. Commands that are issued together leave in one pipeline, in a cluster one a
   * node: so issue many and await them together, never one by one.
   */
  client: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** A connection of its own for blocking reads or for BullMQ; closed when the process stops. */
  dedicated(name: string): RedisClient;
}

/** Redis holds state of another layout or another number of slices: the process must not start. */
export class LayoutError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LayoutError';
  }
}

interface Options {
  settings: Pick<Settings, 'redis' | 'redisPrefix' | 'slices'>;
  log: Logger;
  health: Health;
  lifecycle: Lifecycle;
}

/** Longest wait between two tries to reconnect: Redis is back for us soon after it is back. */
const RETRY_AT_MOST_MS = 1000;

/**
 * Connects and waits until Redis answers and its layout is known to be ours.
 *
 * @throws LayoutError when Redis holds state of another layout or number of slices
 */
export async function connectRedis(options: Options): Promise<RedisConnections> {
  const { settings, log, health, lifecycle } = options;
  health.set('redis', 'not connected yet');
  const client = lifecycle.own('redis', open(settings.redis), close);
  watch(client, log, health);
  const keys = createKeys(settings.redisPrefix, settings.slices);
  await checkLayout(client, keys);
  return {
    client,
    keys,
    scripts: defineScripts(client),
    dedicated: (name) => {
      const connection = lifecycle.own(`redis ${name}`, open(settings.redis), close);
      connection.on('error', () => undefined); // `watch` on the main connection reports the same outage once
      return connection;
    },
  };
}

function open(where: Settings['redis']): RedisClient {
  const retry = (times: number) => Math.min(50 * times, RETRY_AT_MOST_MS);
  const options = {
    maxRetriesPerRequest: null,
    retryStrategy: retry,
    keepAlive: 10_000,
    protocol: 2,
  } as const;
  switch (where?.kind) {
    case 'single':
      return writeTogether(new Redis(where.url, options));
    case 'sentinel':
      return writeTogether(
        new Redis({
          ...options,
          name: where.name,
          sentinels: where.nodes.map((url) => ({
            host: new URL(url).hostname,
            port: Number(new URL(url).port || 26379),
          })),
          sentinelRetryStrategy: retry,
        }),
      );
    case 'cluster':
      return new Cluster(where.nodes, { clusterRetryStrategy: retry, redisOptions: options }).on(
        '+node',
        writeTogether,
      );
    default:
      throw new Error('redis: expected redis.url, redis.cluster or redis.sentinel, found none');
  }
}

/**
 * Commands of one turn of the event loop leave in one packet: a packet costs more than the commands in it.
 *
 * ioredis's own auto-pipelining does that too, but lets only one pipeline be under way, so that a command waits for
 * all that were sent before it, and copies every script's command into each pipeline.
 */
function writeTogether(client: Redis): Redis {
  return client.on('connect', () => {
    const { stream } = client;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    let corked = false;
    stream.write = (...args: unknown[]) => {
      if (!corked) {
        corked = true;
        stream.cork();
        setImmediate(() => {
          corked = false;
          stream.uncork();
        });
      }
      return write(...args);
    };
  });
}

/** A lost connection is said once, and its return once. */
function watch(client: RedisClient, log: Logger, health: Health): void {
  let away: string | undefined;
  const lost = (problem: string) => {
    health.set('redis', problem);
    if (away === undefined)
      log.warn({ event: 'redis_away', reason: problem }, 'Redis is away; retrying until it is back');
    away = problem;
  };
  client.on('error', (error: Error) => lost(error.message));
  client.on('close', () => lost('connection closed'));
  client.on('ready', () => {
    health.set('redis', undefined);
    if (away !== undefined) log.info({ event: 'redis_back' }, 'Redis is back');
    away = undefined;
  });
}

async function close(client: RedisClient): Promise<void> {
  // A client that is not connected would wait for Redis to say goodbye.
  if (client.status !== 'ready') {
    client.disconnect();
    return;
  }
  await client.quit();
}

/** The first process fixes the layout and the number of slices; all later ones must agree. */
async function checkLayout(client: RedisClient, keys: Keys): Promise<void> {
  await client.hsetnx(keys.layout, 'version', LAYOUT_VERSION);
  await client.hsetnx(keys.layout, 'slices', keys.slices);
  const [version, slices] = await client.hmget(keys.layout, 'version', 'slices');
  if (version !== String(LAYOUT_VERSION)) {
    throw new LayoutError(
      `${keys.layout}: expected layout ${LAYOUT_VERSION}, found ${version}: this Redis was written by another version; give this one another redis.prefix or an empty Redis`,
    );
  }
  if (slices !== String(keys.slices)) {
    throw new LayoutError(
      `slices: expected ${slices}, as this Redis was set up with, got ${keys.slices}: set slices to ${slices}, or give this deployment another redis.prefix`,
    );
  }
}
