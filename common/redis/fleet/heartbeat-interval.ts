import type { PolicySettings } from '../../policy/settings.ts';
import type { Health } from '../../runtime/health.ts';
import type { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../../runtime/log/log.ts';
import { PeriodicTask } from '../../runtime/tasks/periodic-task.ts';
import { problemLevel } from '../connection/connection-error.ts';
import type { RedisConnections } from '../connection/connections.ts';
import { decodeLiveness } from './dea-liveness.ts';

/** The DEAs with the latest heartbeats. A few show the interval of all. */
const SAMPLE = 50;
/** Fewer DEAs may have sent a heartbeat for another reason than their interval. */
const MIN_DEAS = 3;
/** `droplet_lost` must be more than this many intervals: one heartbeat may be lost. */
const MIN_INTERVALS = 2;

type Deps = Pick<RedisConnections, 'client' | 'keys'>;

/**
 * How often the DEAs send heartbeats (ms): the median of the times between their latest two, over the DEAs whose last one is
 * the newest. Undefined while too few DEAs have sent two.
 */
export async function heartbeatIntervalMs({ client, keys }: Deps): Promise<number | undefined> {
  const sample = await client.zrevrange(keys.deasLastHeartbeat, 0, SAMPLE - 1, 'WITHSCORES');
  const deas = sample.filter((_, at) => at % 2 === 0);
  if (deas.length < MIN_DEAS) return undefined;
  const previous = await client.zmscore(keys.deasPreviousHeartbeat, ...deas);
  const intervals = previous
    .flatMap((time, n) => {
      const { lastHeartbeatMs, isRestored, previousHeartbeatMs } = decodeLiveness(
        sample[2 * n + 1] as string,
        time,
      );
      return isRestored || previousHeartbeatMs === undefined ? [] : [lastHeartbeatMs - previousHeartbeatMs];
    })
    .filter((ms) => ms > 0)
    .sort((a, b) => a - b);
  return intervals.length < MIN_DEAS ? undefined : intervals[Math.floor(intervals.length / 2)];
}

/** Why `droplet_lost` is too short for these heartbeats; undefined if it is not. */
export function shortLossWarning(
  { dropletLostMs }: Pick<PolicySettings, 'dropletLostMs'>,
  intervalMs: number | undefined,
): string | undefined {
  if (intervalMs === undefined || dropletLostMs > MIN_INTERVALS * intervalMs) return undefined;
  const s = (ms: number) => `${Math.round(ms / 100) / 10} s`;
  return `intervals.droplet_lost: expected more than ${MIN_INTERVALS} heartbeat intervals of the DEAs (${s(intervalMs)} each, as observed), got ${s(dropletLostMs)}: a single late heartbeat counts as a loss`;
}

/** How often the interval is observed while this process runs (ms). */
const OBSERVE_EVERY_MS = 60_000;

interface Watch {
  redis: Deps;
  policy: Pick<PolicySettings, 'dropletLostMs'>;
  log: Logger;
  health: Health;
  lifecycle: Lifecycle;
}

/**
 * Warns in the log, once, and in `/readyz`, while `droplet_lost` is too short for the heartbeats. Two observations must agree,
 * because the first heartbeats after an outage are far from the ones before.
 *
 * @returns observes now; for tests
 */
export function watchHeartbeatInterval({
  redis,
  policy,
  log,
  health,
  lifecycle,
}: Watch): () => Promise<void> {
  let before: string | undefined;
  let isWarned = false;
  const observe = async () => {
    try {
      const warning = shortLossWarning(policy, await heartbeatIntervalMs(redis));
      const confirmed = before === undefined ? undefined : warning;
      before = warning;
      health.warn('settings', confirmed);
      if (confirmed !== undefined && !isWarned) log.warn({ event: 'config_warning' }, confirmed);
      isWarned = confirmed !== undefined;
    } catch (error) {
      log[problemLevel(error)](
        { event: 'heartbeat_interval_not_read', err: error },
        'heartbeat interval not read; retrying',
      );
    }
  };
  const task = new PeriodicTask(OBSERVE_EVERY_MS, observe);
  void task.runNow();
  lifecycle.onStop('heartbeat interval', () => task.cancel());
  return () => task.runNow();
}
