import { dirname, join } from 'node:path';
import { ConfigError, configPath, loadConfig } from '../../../../common/config/load.ts';
import type { RedisSettings, Settings } from '../../../../common/config/settings.ts';
import { demoDir } from '../../../demo/stage/demo-dir.ts';
import { lockOwner } from '../../launcher/folder-lock.ts';
import { readPrivateServers } from '../../launcher/private-servers.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';

interface Found {
  settings: Settings;
  redis: RedisSettings;
}

/**
 * The configured Redis. When the file names none, the private one of a launcher beside the file. Without a
 * configuration file, the Redis of a running demo.
 *
 * @throws ConfigError
 * @throws FailedError when no Redis is configured and no launcher with a private one runs
 */
export function findRedis({ config }: ConfigOption): Found {
  const source = { file: config, env: process.env, cwd: process.cwd() };
  let loaded: ReturnType<typeof loadConfig>;
  try {
    loaded = loadConfig(source);
  } catch (error) {
    const demo = config === undefined && isMissing(error) ? findDemo() : undefined;
    if (demo !== undefined) return demo;
    throw isMissing(error)
      ? new ConfigError([`${configPath(source)}: no such file; give one with --config`])
      : error;
  }
  const { settings, file } = loaded;
  if (settings.redis !== undefined) return { settings, redis: settings.redis };
  const url = readPrivateServers(join(dirname(file), '.hm'))?.redis;
  if (url !== undefined) return { settings, redis: { kind: 'single', url } };
  throw new FailedError(
    `${file} names no Redis, and no "hm start" with a private one runs beside it: give the right file with --config`,
  );
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof ConfigError ? error.cause : undefined;
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** A demo that runs from this installation. */
function findDemo(): Found | undefined {
  if (lockOwner(demoDir) === undefined) return undefined;
  // The environment is ignored, as it is by the demo's own processes.
  const { settings } = loadConfig({ file: join(demoDir, 'health_manager.yml'), env: {}, cwd: process.cwd() });
  return settings.redis === undefined ? undefined : { settings, redis: settings.redis };
}

/** Hosts and ports, without the login. */
export function addressOf(redis: RedisSettings): string {
  const urls = redis.kind === 'single' ? [redis.url] : redis.nodes;
  const hosts = urls.map((url) => new URL(url).host).join(', ');
  return redis.kind === 'sentinel' ? `${redis.name} (sentinels ${hosts})` : hosts;
}
