import { watermarkGapMs } from '../../../../common/policy/thresholds.ts';
import { adoptPrefix } from '../../../../common/redis/layout.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';

/** `hm adopt`: the deployment of this configuration takes over the Redis prefix of another one. */
export function adopt(options: ConfigOption): Promise<number> {
  return withRedis(options, async ({ redis, settings, now }) => {
    const { listening } = await readFleetFacts(redis);
    if (listening !== undefined && (await now()) - listening.untilMs <= watermarkGapMs(settings.policy)) {
      throw new FailedError(
        `redis.prefix ${settings.redisPrefix} is in use: an ingestor has written its watermark just now. ` +
          'Stop every process of the earlier deployment first',
      );
    }
    const { before, after } = await adoptPrefix(redis.client, settings);
    const output = new Output();
    const of = ({ partition, controller }: typeof before) =>
      `cc_partition ${partition ?? 'unknown'}, controller ${controller ?? 'unknown'}`;
    await output.line(`redis.prefix ${settings.redisPrefix} belonged to ${of(before)}`);
    await output.line(`redis.prefix ${settings.redisPrefix} belongs to ${of(after)}`);
    return 0;
  });
}
