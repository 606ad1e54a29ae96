import type { Holds } from '../../common/model/droplet.ts';
import { isLossUnconfirmed } from '../../common/policy/freshness.ts';
import { isEvaluatedLongEnough } from '../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { deaExpiryMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { listedDroplets } from '../../common/redis/dea-list.ts';
import { expireDea } from '../../common/redis/scripts/heartbeats/expire-dea.ts';
import { listLostDeas } from '../../common/redis/scripts/heartbeats/list-lost-deas.ts';
import type { Logger } from '../../common/runtime/log.ts';

/** The holds that decide whether a silent DEA counts as lost. */
type SilenceHolds = Pick<
  Holds,
  'massLossDeas' | 'massLossEvaluated' | 'heartbeatWatermarkMs' | 'lossPossibleUntilMs'
>;

/**
 * Marks the droplets of lost DEAs due, once for each silence of a DEA.
 *
 * A DEA is lost if it had been silent for longer than `droplet_lost` when `mass_loss` was last evaluated, and no
 * unstored or dropped heartbeat may contradict that (`isLossUnconfirmed`). A DEA whose loss a hold keeps back is left
 * unmarked, so a later tick finds it again.
 */
export async function markLostDeas(
  redis: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
  holds: SilenceHolds,
): Promise<void> {
  // Until mass_loss has been evaluated long enough, all starts for lost DEAs are held (`mayBeMassLoss`).
  const { massLossDeas: held, massLossEvaluated: evaluated } = holds;
  if (evaluated === undefined || !isEvaluatedLongEnough(evaluated, policy)) return;
  const { client, keys } = redis;
  const lost = await listLostDeas(redis, { nowMs: evaluated.untilMs, dropletLostMs: policy.dropletLostMs });
  for (const { dea, lastHeartbeatMs } of lost) {
    if (held.has(dea) || isLossUnconfirmed(lastHeartbeatMs, holds, policy)) continue;
    const droplets = await listedDroplets(redis, dea);
    const nowMs = clock.nowMs();
    await Promise.all([...droplets].map((id) => client.zadd(keys.due(keys.sliceOf(id)), nowMs, id)));
    await client.zadd(keys.deasLost, lastHeartbeatMs, dea);
    log.warn(
      { event: 'dea_lost', dea, droplets: droplets.size, silentMs: nowMs - lastHeartbeatMs },
      'DEA lost: no heartbeat for longer than droplet_lost',
    );
  }
}

/** Clean-up: removes expired DEAs. */
export async function expireDeas(
  redis: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
): Promise<void> {
  const beforeMs = clock.nowMs() - deaExpiryMs(policy);
  const { client, keys } = redis;
  const silent = await client.zrangebyscore(keys.deasLastHeartbeat, '-inf', `(${beforeMs}`, 'LIMIT', 0, 100);
  for (const dea of silent) {
    const result = await expireDea(redis, { dea, beforeMs });
    if (result === 'expired')
      log.info({ event: 'dea_expired', dea }, 'DEA expired: removed after a long silence');
  }
}
