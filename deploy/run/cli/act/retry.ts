import { countText, indicesText } from '../../../../common/explain/wording.ts';
import { isId } from '../../../../common/messages/validation.ts';
import { retry, retryableIndices } from '../../../../common/redis/fleet/holds/operator-acts.ts';
import { withRedis } from '../connection/with-redis.ts';
import { FailedError, UsageError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';
import { readDroplet } from '../query/read-droplet.ts';
import { actor } from './who.ts';

/** `hm retry <guid> [index]`: forgets crash count and attempts of slots that are given up, flapping or unplaced. */
export function retryDroplet(
  guid: string,
  index: number | undefined,
  options: ConfigOption,
): Promise<number> {
  if (!isId(guid)) throw new UsageError('retry: expected a guid of 1 to 256 bytes');
  return withRedis(options, async (session) => {
    const view = await readDroplet(session, guid);
    if (view === undefined) throw new FailedError(`droplet ${guid}: expected a record, found none`);
    const indices = retryableIndices(view.droplet, view.nowMs, session.settings.policy, index);
    if (indices.length === 0) {
      const which = index === undefined ? 'no index of it is' : `index ${index} is not`;
      throw new FailedError(
        `droplet ${guid}: ${which} given up, flapping or unplaced: there is nothing to retry`,
      );
    }
    await retry(session.redis, { droplet: guid, indices }, await actor(session));
    const slots = indices.length === 1 ? `index ${indices[0]}` : `indices ${indicesText(indices)}`;
    await new Output().line(`${countText(indices.length, 'slot')} to be tried at once: ${slots}`);
    return 0;
  });
}
