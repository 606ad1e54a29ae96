import type { PolicySettings } from '../../common/policy/settings.ts';
import { longestTickMs } from '../../common/policy/thresholds.ts';
import { openQueue, openWorker } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import { problemLevel } from '../../common/redis/connection/connection-error.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import type { Lifecycle } from '../../common/runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { PeriodicTask } from '../../common/runtime/tasks/periodic-task.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  policy: PolicySettings;
  tick(): Promise<void>;
}

/** Often enough for what no event announces. Counting the due droplets of 256 slices once a second costs nothing. */
const MAX_TICK_PERIOD_MS = 1000;
/** An analyzer considers the cron stuck after this many missing ticks. */
const STUCK_AFTER_TICKS = 3;

/**
 * The cron: a BullMQ job scheduler, so the whole deployment has one tick at a time however many analyzers run.
 *
 * The scheduler stamps its next tick by the wall clock of the analyzer that ran the last one. If that clock is hours
 * ahead, or the job is lost, no tick comes. So every analyzer checks by Redis's clock whether ticks are missing; if so
 * it ticks itself and recreates the scheduler. A tick too many does no harm.
 */
export async function startCron(options: Options): Promise<void> {
  const { redis, clock, log, lifecycle, policy, tick } = options;
  const everyMs = Math.max(
    50,
    Math.min(MAX_TICK_PERIOD_MS, policy.dropletsAnalysisMs / 2, longestTickMs(policy)),
  );
  const queue = openQueue(redis, lifecycle, log, 'cron');
  openWorker(redis, lifecycle, log, 'cron', tick, { concurrency: 1 });
  const schedule = () => queue.upsertJobScheduler('tick', { every: everyMs }, { name: 'tick' });
  await schedule();

  const restartIfStuck = async () => {
    try {
      const lastTickMs = Number(await redis.client.hget(redis.keys.scan, 'tick'));
      if (clock.nowMs() - lastTickMs <= STUCK_AFTER_TICKS * everyMs + MAX_TICK_PERIOD_MS) return;
      log.warn({ event: 'cron_stuck', lastTickMs }, 'cron stuck: no ticks; recreating its scheduler');
      await tick();
      await queue.removeJobScheduler('tick');
      await schedule();
    } catch (error) {
      log[problemLevel(error)]({ event: 'cron_not_checked', err: error }, 'cron not checked; retrying');
    }
  };
  const checks = new PeriodicTask(MAX_TICK_PERIOD_MS, restartIfStuck);
  lifecycle.onStop('cron', () => checks.cancel());
}
