import type { Settings } from '../../../../common/config/settings.ts';
import { evictionRisk } from '../../../../common/redis/connection/eviction.ts';
import { connectOnce, openOnce } from '../connection/connect-once.ts';
import type { CheckResult } from './check-result.ts';

/** The lowest version with the commands that the scripts use. */
const MIN_MAJOR_VERSION = 7;

/** Connects and reads the version. Writes nothing. */
export async function checkRedis(settings: Settings, answerMs: number): Promise<CheckResult> {
  if (settings.redis === undefined) return { ok: 'none configured: "hm start" starts a private one' };
  const client = openOnce(settings.redis, answerMs);
  try {
    const info = await connectOnce(client, answerMs, () => client.info('server'));
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    if (Number.parseInt(version, 10) >= MIN_MAJOR_VERSION) {
      const warning = evictionRisk(await client.info('memory').catch(() => ''));
      return { ok: `version ${version}`, ...(warning !== undefined && { warning }) };
    }
    return { problem: `expected version ${MIN_MAJOR_VERSION}.0 or newer, found ${version}` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  } finally {
    client.disconnect();
  }
}
