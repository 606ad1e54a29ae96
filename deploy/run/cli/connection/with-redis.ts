import { dirname, join } from 'node:path';
import { Cluster } from 'ioredis';
import { ConfigError, configPath, loadConfig } from '../../../../common/config/load.ts';
import type { RedisSettings, Settings } from '../../../../common/config/settings.ts';
import { LayoutError, type RedisConnections } from '../../../../common/redis/connections.ts';
import { createKeys, LAYOUT_VERSION } from '../../../../common/redis/keys.ts';
import { defineScripts } from '../../../../common/redis/scripts/scripts.ts';
import { withoutLogins } from '../../../../common/runtime/log.ts';
import { demoDir } from '../../../demo/demo-dir.ts';
import { lockOwner } from '../../launcher/folder-lock.ts';
import { readPrivateServers } from '../../launcher/private-servers.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { connectOnce, openOnce } from './connect-once.ts';

/** What does not answer within this is away. */
const ANSWER_MS = 4_000;

/** What a command asks the health manager's memory with. */
export interface Query {
  redis: RedisConnections;
  settings: Settings;
  /** Now, on Redis's clock (ms). */
  now(): Promise<number>;
}

/**
 * Connects to the Redis of the health manager, for reading: nothing is ever created.
 *
 * @throws ConfigError, LayoutError
 * @throws FailedError when there is no Redis, or nothing of the health manager in it
 */
export async function withRedis(
  options: ConfigOption,
  work: (query: Query) => Promise<number>,
): Promise<number> {
  const { settings, where } = find(options);
  const client = openOnce(where, ANSWER_MS);
  const failed = (error: unknown) => {
    const words = error instanceof Error ? error.message : String(error);
    return new FailedError(withoutLogins(`Redis at ${placeOf(where)}: ${words}`), { cause: error });
  };
  try {
    const layout = createKeys(settings.redisPrefix, settings.slices).layout;
    const [version, slices] = await connectOnce(client, ANSWER_MS, () =>
      client.hmget(layout, 'version', 'slices'),
    ).catch((error: unknown) => {
      throw failed(error);
    });
    checkLayout(layout, version, slices);
    // Its own number, so that an answer does not depend on this file's saying the same.
    const keys = createKeys(settings.redisPrefix, Number(slices));
    const scripts = defineScripts(client);
    const dedicated = () => {
      throw new Error('a command has one connection');
    };
    const isCluster = client instanceof Cluster;
    const redis: RedisConnections = { client, keys, scripts, dedicated, isCluster };
    const now = async () => {
      // In a cluster the node that has the key, as for everybody (deployment_time.lua), but without writing.
      const time = client.eval("return redis.call('TIME')", 1, keys.clock) as Promise<[string, string]>;
      const [[seconds, micros], ahead] = await Promise.all([time, client.hget(keys.clock, 'ahead')]);
      return Math.floor(Number(seconds) * 1000 + Number(micros) / 1000 + Number(ahead ?? 0));
    };
    return await work({ redis, settings, now }).catch((error: unknown) => {
      throw isOfRedis(error) ? failed(error) : error;
    });
  } finally {
    client.disconnect();
  }
}

function checkLayout(key: string, version: string | null | undefined, slices: string | null | undefined) {
  if (!version || !slices) {
    throw new FailedError(`there is nothing of a health manager in this Redis (no ${key})`);
  }
  if (version !== String(LAYOUT_VERSION)) {
    throw new LayoutError(
      `${key}: expected layout ${LAYOUT_VERSION}, found ${version}: this Redis was written by another version of the health manager`,
    );
  }
}

/** The connection broke, an answer is late, or Redis itself refused the command. */
function isOfRedis(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return (
    /Redis|ReplyError|ClusterAllFailed|MaxRetries/.test(`${error.name} ${error.constructor.name}`) ||
    (typeof code === 'string' && code.startsWith('ECONN')) ||
    /Connection is closed|Command timed out|Stream isn't writeable/.test(error.message)
  );
}

interface Found {
  settings: Settings;
  where: RedisSettings;
}

/** The configured Redis; else the private one of a launcher beside the file; else, without a file, the demo's. */
function find({ config }: ConfigOption): Found {
  const source = { file: config, env: process.env, cwd: process.cwd() };
  let loaded: ReturnType<typeof loadConfig>;
  try {
    loaded = loadConfig(source);
  } catch (error) {
    const demo = config === undefined && isMissing(error) ? ofDemo() : undefined;
    if (demo !== undefined) return demo;
    throw isMissing(error)
      ? new ConfigError([`${configPath(source)}: no such file; give one with --config`])
      : error;
  }
  const { settings, file } = loaded;
  if (settings.redis !== undefined) return { settings, where: settings.redis };
  const url = readPrivateServers(join(dirname(file), '.hm'))?.redis;
  if (url !== undefined) return { settings, where: { kind: 'single', url } };
  throw new FailedError(
    `${file} names no Redis, and no "hm start" with a private one runs beside it: give the right file with --config`,
  );
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof ConfigError ? error.cause : undefined;
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** A demo that runs on this machine, from this installation. */
function ofDemo(): Found | undefined {
  if (lockOwner(demoDir) === undefined) return undefined;
  // As for the demo's own processes nothing but its file counts.
  const { settings } = loadConfig({ file: join(demoDir, 'health_manager.yml'), env: {}, cwd: process.cwd() });
  return settings.redis === undefined ? undefined : { settings, where: settings.redis };
}

/** Without the login. */
function placeOf(where: RedisSettings): string {
  const urls = where.kind === 'single' ? [where.url] : where.nodes;
  const hosts = urls.map((url) => new URL(url).host).join(', ');
  return where.kind === 'sentinel' ? `${where.name} (sentinels ${hosts})` : hosts;
}
