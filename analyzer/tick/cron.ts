import type { PolicySettings } from '../../common/policy/settings.ts';
import { openQueue, openWorker } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import type { Lifecycle } from '../../common/runtime/lifecycle.ts';
import type { Logger } from '../../common/runtime/log.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  policy: PolicySettings;
  tick(): Promise<void>;
}

/** A second is soon enough for what no message announces, and 256 questions a second cost nothing. */
const TICK_AT_MOST_MS = 1000;
/** So many ticks may be missing before an analyzer takes the cron for stuck. */
const STUCK_AFTER_TICKS = 3;

/**
 * The cron: a BullMQ job scheduler, so one tick falls due in the whole deployment however many analyzers run.
 *
 * A scheduler's next tick is stamped by the wall clock of whoever ran the last one. Should that clock be
 * hours ahead, or the job be lost, every analyzer notices by Redis's clock that ticks are missing, ticks
 * itself and sets the scheduler anew. A tick too many does no harm.
 */
export async function startCron(options: Options): Promise<void> {
  const { redis, clock, log, lifecycle, policy, tick } = options;
  const everyMs = Math.max(
    50,
    Math.min(TICK_AT_MOST_MS, policy.dropletsAnalysisMs / 2, policy.dropletLostMs / 4),
  );
  const queue = openQueue(redis, lifecycle, log, 'cron');
  openWorker(redis, lifecycle, log, 'cron', tick, { concurrency: 1 });
  const schedule = () => queue.upsertJobScheduler('tick', { every: everyMs }, { name: 'tick' });
  await schedule();

  let guarding = false;
  const guard = async () => {
    if (guarding) return;
    guarding = true;
    try {
      const last = Number(await redis.client.hget(redis.keys.scan, 'tick'));
      if (clock.nowMs() - last <= STUCK_AFTER_TICKS * everyMs + TICK_AT_MOST_MS) return;
      log.warn({ event: 'cron_stuck', lastTickMs: last }, 'ticks are missing: setting the cron anew');
      await tick();
      await queue.removeJobScheduler('tick');
      await schedule();
    } catch (error) {
      log.debug({ event: 'cron_not_checked', err: error }, 'could not look after the cron; tried again soon');
    } finally {
      guarding = false;
    }
  };
  const timer = setInterval(guard, TICK_AT_MOST_MS);
  lifecycle.onStop('cron', () => clearInterval(timer));
}
