import type { Settings } from '../../../../common/config/settings.ts';
import { connectOnce, openOnce } from '../connection/connect-once.ts';
import type { Tried } from './check-result.ts';

/** The floor: what the scripts and commands need. */
const MAJOR_AT_LEAST = 7;

/** Connects and asks for the version; writes nothing. */
export async function tryRedis(settings: Settings, answerMs: number): Promise<Tried> {
  if (settings.redis === undefined) return { ok: 'none configured: "hm start" starts a private one' };
  const client = openOnce(settings.redis, answerMs);
  try {
    const info = await connectOnce(client, answerMs, () => client.info('server'));
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    if (Number.parseInt(version, 10) >= MAJOR_AT_LEAST) return { ok: `version ${version}` };
    return { problem: `version ${version}; at least ${MAJOR_AT_LEAST}.0 is needed` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  } finally {
    client.disconnect();
  }
}
