import type { RedisSettings, Settings } from '../../../../common/config/settings.ts';
import { evictionRisk } from '../../../../common/redis/connection/eviction.ts';
import { heartbeatIntervalMs, shortLossWarning } from '../../../../common/redis/fleet/heartbeat-interval.ts';
import { createKeys } from '../../../../common/redis/keys.ts';
import { layoutProblem } from '../../../../common/redis/layout.ts';
import type { RedisClient } from '../../../../common/redis/scripts/scripts.ts';
import { connectOnce, openOnce } from '../connection/connect-once.ts';
import type { CheckResult } from './check-result.ts';

/** The lowest version with the commands that the scripts use. */
const MIN_MAJOR_VERSION = 7;

interface Options {
  settings: Settings;
  /** The time-out of the connect and of each command (ms). */
  answerMs: number;
  /** The private Redis of an `hm start` that runs beside the configuration file. */
  privateUrl: string | undefined;
}

/** Connects, reads the version, and finds out whether a process would refuse to start on this Redis. Writes nothing. */
export async function checkRedis({ settings, answerMs, privateUrl }: Options): Promise<CheckResult> {
  const redis = settings.redis ?? privateRedis(privateUrl);
  if (redis === undefined) return { skipped: 'none configured: "hm start" starts a private one' };
  const client = openOnce(redis, answerMs);
  try {
    const info = await connectOnce(client, answerMs, () => client.info('server'));
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    if (Number.parseInt(version, 10) < MIN_MAJOR_VERSION)
      return { problem: `expected version ${MIN_MAJOR_VERSION}.0 or newer, found ${version}` };
    // `hm start` takes its private Redis over, whatever partition and controller it was used for.
    const problem = await layoutProblem(client, settings, { isAdopted: settings.redis === undefined });
    if (problem !== undefined) return { problem };
    return { ok: `version ${version}`, warnings: await warningsOf(client, settings) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  } finally {
    client.disconnect();
  }
}

function privateRedis(url: string | undefined): RedisSettings | undefined {
  return url === undefined ? undefined : { kind: 'single', url };
}

async function warningsOf(client: RedisClient, settings: Settings): Promise<string[]> {
  // A login may lack the right to INFO.
  const eviction = evictionRisk(await client.info('memory').catch(() => ''));
  const keys = createKeys(settings.redisPrefix, settings.slices);
  const tooShort = shortLossWarning(settings.policy, await heartbeatIntervalMs({ client, keys }));
  return [eviction, tooShort].filter((warning) => warning !== undefined);
}
