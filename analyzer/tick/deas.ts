import type { Holds } from '../../common/model/droplet.ts';
import { isLossUnconfirmed } from '../../common/policy/freshness.ts';
import { isEvaluatedLongEnough } from '../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { listedDroplets } from '../../common/redis/dea-list.ts';
import type { Logger } from '../../common/runtime/log.ts';

type KnownOfSilence = Pick<
  Holds,
  'massLossDeas' | 'massLossEvaluated' | 'heartbeatWatermarkMs' | 'lossPossibleUntilMs'
>;

/**
 * Finds the DEAs that had been silent for longer than `droplet_lost` when `mass_loss` was last evaluated, and by all that is heard
 * and may be lost (`isHeardLately`), and marks the droplets that they listed due, once for each silence. Those whose loss is
 * not acted on stay to be found.
 */
export async function markLostDeas(
  redis: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
  holds: KnownOfSilence,
): Promise<void> {
  // Before it is all held: `isSilenceDoubted`.
  const { massLossDeas: held, massLossEvaluated: evaluated } = holds;
  if (evaluated === undefined || !isEvaluatedLongEnough(evaluated, policy)) return;
  const { client, keys, scripts } = redis;
  const flat = await scripts.listLostDeas(
    [keys.deasLastHeartbeat, keys.deasLost],
    [evaluated.untilMs, policy.dropletLostMs],
  );
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const dea = flat[at] as string;
    const lastHeartbeatMs = flat[at + 1] as string;
    if (held.has(dea) || isLossUnconfirmed(Number(lastHeartbeatMs), holds, policy)) continue;
    const droplets = await listedDroplets(redis, dea);
    const nowMs = clock.nowMs();
    await Promise.all([...droplets].map((id) => client.zadd(keys.due(keys.sliceOf(id)), nowMs, id)));
    await client.zadd(keys.deasLost, lastHeartbeatMs, dea);
    log.warn(
      { event: 'dea_lost', dea, droplets: droplets.size, silentMs: nowMs - Number(lastHeartbeatMs) },
      'a DEA has fallen silent',
    );
  }
}

/** So many silences of `droplet_lost` after its last heartbeat a DEA is forgotten (policy: clean-up). */
const FORGET_AFTER = 10;

/** Clean-up: removes DEAs that have not been heard for ten times `droplet_lost`. */
export async function expireDeas(
  { client, keys, scripts }: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
): Promise<void> {
  const beforeMs = clock.nowMs() - FORGET_AFTER * policy.dropletLostMs;
  const silent = await client.zrangebyscore(keys.deasLastHeartbeat, '-inf', `(${beforeMs}`, 'LIMIT', 0, 100);
  for (const dea of silent) {
    const forgotten = await scripts.expireDea(
      [
        keys.deasLastHeartbeat,
        keys.deasPreviousHeartbeat,
        keys.deasDigest,
        keys.deasCount,
        keys.deasShutdown,
        keys.deasLost,
        keys.deaList(dea),
      ],
      [dea, beforeMs],
    );
    if (forgotten === 1)
      log.info({ event: 'dea_expired', dea }, 'a DEA that has long been silent is forgotten');
  }
}
