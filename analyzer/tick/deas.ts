import type { Holds } from '../../common/model/droplet.ts';
import { isLossEstablished, type SilenceHolds } from '../../common/policy/fleet/holds.ts';
import { listenedAgoMs } from '../../common/policy/fleet/listening-time.ts';
import { lostBefore } from '../../common/policy/fleet/liveness.ts';
import { lossesEvaluatedMs } from '../../common/policy/fleet/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { deaExpiryMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { listedDroplets } from '../../common/redis/fleet/dea-list.ts';
import { expireDea } from '../../common/redis/scripts/deas/expire-dea.ts';
import { type LostDea, listLostDeas } from '../../common/redis/scripts/deas/list-lost-deas.ts';
import type { Logger } from '../../common/runtime/log/log.ts';

/** Expired DEAs that one tick logs one by one. */
const MAX_LOGGED = 20;

/** DEAs that are marked or removed at once: bounds the commands that wait. */
const DEAS_AT_ONCE = 100;

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
  const { massLossEvaluated: evaluated, listeningGaps: gaps } = holds;
  const evaluatedMs = evaluated && lossesEvaluatedMs(evaluated, gaps, policy);
  if (evaluatedMs === undefined) return;
  const { client, keys } = redis;
  const silent = await listLostDeas(redis, { lostBeforeMs: lostBefore(evaluatedMs, gaps, policy) });
  const lost = silent.filter((silence) => isLossEstablished(silence, holds, policy));
  const mark = async ({ dea, lastHeartbeatMs }: LostDea) => {
    const [droplets, shutdown] = await Promise.all([
      listedDroplets(redis, dea),
      client.hexists(keys.deasShutdown, dea),
    ]);
    const nowMs = clock.nowMs();
    await Promise.all([...droplets].map((id) => client.zadd(keys.due(keys.sliceOf(id)), nowMs, id)));
    await client.zadd(keys.deasLost, lastHeartbeatMs, dea);
    const facts = { dea, droplets: droplets.size, silentMs: nowMs - lastHeartbeatMs };
    if (shutdown === 1)
      log.info({ event: 'dea_left', ...facts }, 'DEA left: no heartbeat since its dea.shutdown');
    else log.warn({ event: 'dea_lost', ...facts }, 'DEA lost: no heartbeat for longer than droplet_lost');
  };
  for (let at = 0; at < lost.length; at += DEAS_AT_ONCE)
    await Promise.all(lost.slice(at, at + DEAS_AT_ONCE).map(mark));
}

/** Clean-up: removes all expired DEAs, however many they are. None expires while no ingestor listens. */
export async function expireDeas(
  redis: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
  { listeningGaps }: Pick<Holds, 'listeningGaps'>,
): Promise<void> {
  const beforeMs = listenedAgoMs(clock.nowMs(), deaExpiryMs(policy), listeningGaps);
  const { client, keys } = redis;
  const silent = await client.zrangebyscore(keys.deasLastHeartbeat, '-inf', `(${beforeMs}`);
  let expired = 0;
  for (let at = 0; at < silent.length; at += DEAS_AT_ONCE) {
    const chunk = silent.slice(at, at + DEAS_AT_ONCE);
    const results = await Promise.all(chunk.map((dea) => expireDea(redis, { dea, beforeMs })));
    for (const [n, dea] of chunk.entries()) {
      if (results[n] !== 'expired' || ++expired > MAX_LOGGED) continue;
      log.info({ event: 'dea_expired', dea }, 'DEA expired: removed after a long silence');
    }
  }
  if (expired > MAX_LOGGED)
    log.info({ event: 'deas_expired', deas: expired }, 'many DEAs expired: removed after a long silence');
}
