import { isActiveState } from '../../common/model/instance-states.ts';
import { extendStreak } from '../../common/policy/freshness.ts';
import { exitsByInstance, isExitInForce } from '../../common/policy/liveness.ts';
import {
  type DeaFacts,
  type MassLoss,
  nextMassLoss,
  releaseMassLoss,
} from '../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { evaluationGapMs, lateAfterMs, massLossCountsMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { listedDroplets } from '../../common/redis/dea-list.ts';
import { isUnreadable, RELEASE_FIELD, readMassLoss } from '../../common/redis/holds.ts';
import { pairsOf } from '../../common/redis/pairs.ts';
import { readDroplets } from '../../common/redis/scripts/droplets/read-droplets.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { swapHold } from '../../common/redis/scripts/fleet/swap-hold.ts';
import type { Logger } from '../../common/runtime/log.ts';
import type { AnalyzerMetrics } from '../metrics.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  log: Logger;
  metrics: Pick<AnalyzerMetrics, 'holdUnreadable'>;
}

/**
 * Raises and ends the hold `mass_loss` (policy: holds), and stores when it was evaluated. Starts for a DEA that was lost
 * while no tick evaluated the hold wait for the next evaluation (`mayBeMassLoss`).
 *
 * Every tick calls this. While few DEAs are late it only counts them.
 */
export async function evaluateMassLoss(options: Options): Promise<void> {
  const { redis, clock, policy, log, metrics } = options;
  const { client, keys } = redis;
  const nowMs = clock.nowMs();
  const [facts, released, late] = await Promise.all([
    readFleetFacts(redis),
    client.hget(keys.holds, RELEASE_FIELD.mass_loss),
    countLate(options, nowMs),
  ]);
  const previous = readMassLoss(facts);
  const isOn = previous.sinceMs !== undefined;
  const unreadable = isUnreadable('mass_loss', facts);
  if (unreadable) {
    metrics.holdUnreadable.inc();
    log.warn(
      { event: 'unreadable_hold', hold: 'mass_loss' },
      'hold state unreadable: evaluating the hold from scratch',
    );
  }
  const before = facts.massLoss ?? '';
  let encoded = before;
  let next = previous;
  if (isOn || unreadable || released !== null || late >= policy.massLoss.minimumDeas) {
    next =
      released !== null
        ? releaseMassLoss(previous, nowMs)
        : nextMassLoss(previous, await deaFacts(options, nowMs), nowMs, policy);
    encoded = JSON.stringify(next);
  }
  const evaluated = extendStreak(facts.massLossEvaluated, nowMs, evaluationGapMs(policy));
  const result = await swapHold(redis, {
    hold: 'mass_loss',
    expected: before,
    next: encoded,
    releasedBy: released === null ? undefined : RELEASE_FIELD.mass_loss,
    evaluated,
  });
  if (result === 'swapped') logChange(log, previous, next);
}

function logChange(log: Logger, previous: MassLoss, next: MassLoss): void {
  if (previous.sinceMs === undefined && next.sinceMs !== undefined) {
    log.warn(
      { event: 'hold_on', hold: 'mass_loss', deas: next.lateDeas.length },
      'hold mass_loss on: a network failure is more likely than this many dead DEAs; run `hm release mass_loss` if they are dead',
    );
  } else if (previous.sinceMs !== undefined && next.sinceMs === undefined) {
    log.info({ event: 'hold_off', hold: 'mass_loss' }, 'hold mass_loss off');
  }
}

/** An upper bound of the counted late DEAs: those that are late, but not silent for longer than 3 * `droplet_lost`. */
async function countLate({ redis, policy }: Options, nowMs: number): Promise<number> {
  const countedMs = nowMs - massLossCountsMs(policy);
  return redis.client.zcount(redis.keys.deasLastHeartbeat, countedMs, `(${nowMs - lateAfterMs(policy)}`);
}

async function deaFacts({ redis, policy }: Options, nowMs: number): Promise<DeaFacts[]> {
  const { client, keys } = redis;
  const [lastHeartbeats, counts, shutdown] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1', 'WITHSCORES'),
    client.call('HGETALL', keys.deasCount) as Promise<string[]>,
    client.hkeys(keys.deasShutdown),
  ]);
  const countOf = new Map(pairsOf(counts));
  const hasShutDown = new Set(shutdown);
  const facts = pairsOf(lastHeartbeats).map(
    ([guid, lastHeartbeatMs]): DeaFacts => ({
      guid,
      lastHeartbeatMs: Number(lastHeartbeatMs),
      runsSomething: Number(countOf.get(guid) ?? 0) > 0,
      shutdown: hasShutDown.has(guid),
    }),
  );
  // The counts are those of the last heartbeats: of late DEAs, instances may have exited since.
  const silent = facts.filter(
    (dea) => dea.runsSomething && nowMs - dea.lastHeartbeatMs > lateAfterMs(policy),
  );
  await Promise.all(
    silent.map(async (dea) => {
      dea.runsSomething = await hasInstanceLeft(redis, dea, policy);
    }),
  );
  return facts;
}

/** Droplets in one read. Usually the first droplet has an instance that has not exited. */
const DROPLETS_PER_READ = 20;

/** Whether the DEA's last list has an instance that has not exited since. */
async function hasInstanceLeft(
  redis: RedisConnections,
  dea: DeaFacts,
  policy: PolicySettings,
): Promise<boolean> {
  const droplets = [...(await listedDroplets(redis, dea.guid))];
  for (let at = 0; at < droplets.length; at += DROPLETS_PER_READ) {
    for (const droplet of await readDroplets(redis, droplets.slice(at, at + DROPLETS_PER_READ))) {
      if (droplet === undefined || droplet instanceof Error) continue;
      const exits = exitsByInstance(droplet.exits);
      const isLeft = droplet.instances.some((instance) => {
        if (instance.dea !== dea.guid || instance.lastListedMs !== undefined) return false;
        if (!isActiveState(instance.state)) return false;
        const exit = exits.get(instance.guid);
        return exit === undefined || !isExitInForce(exit, dea.lastHeartbeatMs, policy);
      });
      if (isLeft) return true;
    }
  }
  return false;
}
