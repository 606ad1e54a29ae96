import { extendStreak } from '../../common/policy/freshness.ts';
import { exitStands, exitsByInstance } from '../../common/policy/liveness.ts';
import {
  type DeaFacts,
  evaluationGapMs,
  type MassLoss,
  nextMassLoss,
  releaseMassLoss,
} from '../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { listedDroplets } from '../../common/redis/dea-list.ts';
import { isUnreadable, RELEASE_FIELD, readMassLoss } from '../../common/redis/holds.ts';
import { readDroplets, readFleetFacts } from '../../common/redis/readers.ts';
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
 * Raises and ends the hold `mass_loss` (policy: holds), and notes by when it is judged: what was lost unseen is not taken
 * for missing (`mayBeMassLoss`). Called by every tick; as long as few DEAs are late it only counts them.
 */
export async function evaluateMassLoss(options: Options): Promise<void> {
  const { redis, clock, policy, log, metrics } = options;
  const { client, keys, scripts } = redis;
  const nowMs = clock.nowMs();
  const [facts, released, late] = await Promise.all([
    readFleetFacts(redis),
    client.hget(keys.holds, RELEASE_FIELD.mass_loss),
    countLate(options, nowMs),
  ]);
  const previous = readMassLoss(facts);
  const on = previous.sinceMs !== undefined;
  const unreadable = isUnreadable('mass_loss', facts);
  if (unreadable) {
    metrics.holdUnreadable.inc();
    log.warn(
      { event: 'unreadable_hold', hold: 'mass_loss' },
      'the state of this hold cannot be read: judged anew',
    );
  }
  const before = facts.massLoss ?? '';
  let text = before;
  let next = previous;
  if (on || unreadable || released !== null || late >= policy.massLoss.minimumDeas) {
    next =
      released !== null
        ? releaseMassLoss(previous, nowMs)
        : nextMassLoss(previous, await deaFacts(options, nowMs), nowMs, policy);
    text = JSON.stringify(next);
  }
  const judged = extendStreak(facts.massLossEvaluated, nowMs, evaluationGapMs(policy));
  const done = released === null ? '' : RELEASE_FIELD.mass_loss;
  const won = await scripts.swapHold(
    [keys.holds],
    ['mass_loss', before, text, done, `${judged.sinceMs} ${judged.untilMs}`],
  );
  if (won === 1) say(log, previous, next);
}

function say(log: Logger, previous: MassLoss, next: MassLoss): void {
  if (previous.sinceMs === undefined && next.sinceMs !== undefined) {
    log.warn(
      { event: 'hold_on', hold: 'mass_loss', deas: next.lateDeas.length },
      'so many DEAs are silent at once that their instances are not started elsewhere yet: hm release mass_loss if they are really dead',
    );
  } else if (previous.sinceMs !== undefined && next.sinceMs === undefined) {
    log.info({ event: 'hold_off', hold: 'mass_loss' }, 'the hold mass_loss has ended');
  }
}

/** DEAs that are late and not so long silent that they are not counted any more: at least the counted ones. */
async function countLate({ redis, policy }: Options, nowMs: number): Promise<number> {
  const lost = policy.dropletLostMs;
  return redis.client.zcount(redis.keys.deasLastHeartbeat, nowMs - 3 * lost, `(${nowMs - (lost * 2) / 3}`);
}

async function deaFacts({ redis, policy }: Options, nowMs: number): Promise<DeaFacts[]> {
  const { client, keys } = redis;
  const [heard, counts, shutdown] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1', 'WITHSCORES'),
    client.call('HGETALL', keys.deasCount) as Promise<string[]>,
    client.hkeys(keys.deasShutdown),
  ]);
  const running = new Map<string, number>();
  for (let at = 0; at + 1 < counts.length; at += 2) {
    running.set(counts[at] as string, Number(counts[at + 1]));
  }
  const left = new Set(shutdown);
  const facts: DeaFacts[] = [];
  for (let at = 0; at + 1 < heard.length; at += 2) {
    const guid = heard[at] as string;
    const lastHeartbeatMs = Number(heard[at + 1]);
    facts.push({
      guid,
      lastHeartbeatMs,
      runsSomething: (running.get(guid) ?? 0) > 0,
      shutdown: left.has(guid),
    });
  }
  const silent = facts.filter(
    (dea) => dea.runsSomething && nowMs - dea.lastHeartbeatMs > (policy.dropletLostMs * 2) / 3,
  );
  await Promise.all(
    silent.map(async (dea) => {
      dea.runsSomething = await hasInstanceLeft(redis, dea, policy);
    }),
  );
  return facts;
}

/** Droplets that are read at once to find one instance that has not exited: usually the first has. */
const READ_AT_ONCE = 20;

/** Whether the DEA's last list has an instance that has not exited since. */
async function hasInstanceLeft(
  redis: RedisConnections,
  dea: DeaFacts,
  policy: PolicySettings,
): Promise<boolean> {
  const droplets = [...(await listedDroplets(redis, dea.guid))];
  for (let at = 0; at < droplets.length; at += READ_AT_ONCE) {
    for (const droplet of await readDroplets(redis, droplets.slice(at, at + READ_AT_ONCE))) {
      if (droplet === undefined || droplet instanceof Error) continue;
      const exits = exitsByInstance(droplet.exits);
      const left = droplet.instances.some((instance) => {
        if (instance.dea !== dea.guid || instance.lastListedMs !== undefined) return false;
        if (!RUNNING_SOMETHING.has(instance.state)) return false;
        const exit = exits.get(instance.guid);
        return exit === undefined || !exitStands(exit, dea.lastHeartbeatMs, policy);
      });
      if (left) return true;
    }
  }
  return false;
}

const RUNNING_SOMETHING: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);
