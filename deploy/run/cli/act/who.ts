import { hostname, userInfo } from 'node:os';
import type { Actor } from '../../../../common/redis/fleet/holds/operator-acts.ts';
import type { RedisSession } from '../connection/with-redis.ts';

/** Who acts: the user of this machine, as `alice@host`; without a name the number of the user. */
export async function actor({ now }: RedisSession): Promise<Actor> {
  return { by: `${userName()}@${hostname()}`, nowMs: await now() };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // a user without an entry in /etc/passwd, as in a container
  }
}
