import type { Holds } from '../../common/model/droplet.ts';
import { isHeardLately } from '../../common/policy/freshness.ts';
import { isJudgedLongEnough } from '../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { listedDroplets } from '../../common/redis/dea-list.ts';
import type { Logger } from '../../common/runtime/log.ts';

type KnownOfSilence = Pick<Holds, 'massLossDeas' | 'massLossJudged' | 'heardUntilMs' | 'missedMs'>;

/**
 * Finds the DEAs that had been silent for longer than `droplet_lost` when `mass_loss` was last judged, and by all that is heard
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
  const { massLossDeas: held, massLossJudged: judged } = holds;
  if (judged === undefined || !isJudgedLongEnough(judged, policy)) return;
  const { client, keys, scripts } = redis;
  const flat = await scripts.deasLost(
    [keys.deasHeard, keys.deasLost],
    [judged.untilMs, policy.dropletLostMs],
  );
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const dea = flat[at] as string;
    const heardMs = flat[at + 1] as string;
    if (held.has(dea) || isHeardLately(Number(heardMs), holds, policy)) continue;
    const droplets = await listedDroplets(redis, dea);
    const nowMs = clock.now();
    await Promise.all([...droplets].map((id) => client.zadd(keys.due(keys.sliceOf(id)), nowMs, id)));
    await client.zadd(keys.deasLost, heardMs, dea);
    log.warn(
      { event: 'dea_lost', dea, droplets: droplets.size, silentMs: nowMs - Number(heardMs) },
      'a DEA has fallen silent',
    );
  }
}

/** So many silences of `droplet_lost` after its last heartbeat a DEA is forgotten (policy: clean-up). */
const FORGET_AFTER = 10;

/** Clean-up: removes DEAs that have not been heard for ten times `droplet_lost`. */
export async function forgetSilentDeas(
  { client, keys, scripts }: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
  log: Logger,
): Promise<void> {
  const beforeMs = clock.now() - FORGET_AFTER * policy.dropletLostMs;
  const silent = await client.zrangebyscore(keys.deasHeard, '-inf', `(${beforeMs}`, 'LIMIT', 0, 100);
  for (const dea of silent) {
    const forgotten = await scripts.deaForget(
      [
        keys.deasHeard,
        keys.deasPrevious,
        keys.deasDigest,
        keys.deasCount,
        keys.deasShutdown,
        keys.deasLost,
        keys.deaList(dea),
      ],
      [dea, beforeMs],
    );
    if (forgotten === 1)
      log.info({ event: 'dea_forgotten', dea }, 'a DEA that has long been silent is forgotten');
  }
}
