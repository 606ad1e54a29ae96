import { PIECES } from '../../../../common/redis/keys.ts';
import { type RedisSession, withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';
import type { IdKind } from './words.ts';

/** More would only scroll away. */
const MAX_IDS = 100;
/** Slices that are read at once. */
const SLICES_AT_ONCE = 16;

/** `hm complete-ids droplets|deas <prefix>`: the ids that begin with the prefix, one a line, for the completion of a shell. */
export function listIds(kind: IdKind, prefix: string, options: ConfigOption): Promise<number> {
  return withRedis(options, async ({ redis }) => {
    const ids = kind === 'deas' ? await deas(redis, prefix) : await droplets(redis, prefix);
    await new Output().write(
      ids
        .sort()
        .slice(0, MAX_IDS)
        .map((id) => `${id}\n`)
        .join(''),
    );
    return 0;
  });
}

async function deas({ client, keys }: RedisSession['redis'], prefix: string): Promise<string[]> {
  const all = await client.zrange(keys.deasLastHeartbeat, '0', '-1');
  return all.filter((id) => id.startsWith(prefix));
}

/** Reads until there are enough. */
async function droplets({ client, keys }: RedisSession['redis'], prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (let slice = 0; slice < keys.slices && found.length < MAX_IDS; slice += SLICES_AT_ONCE) {
    const slices = Array.from(
      { length: Math.min(SLICES_AT_ONCE, keys.slices - slice) },
      (_, at) => slice + at,
    );
    const pieces = await Promise.all(
      slices.flatMap((of) =>
        Array.from({ length: PIECES }, (_, piece) => client.hkeys(keys.index(of, piece))),
      ),
    );
    for (const ids of pieces) for (const id of ids) if (id.startsWith(prefix)) found.push(id);
  }
  return found;
}
