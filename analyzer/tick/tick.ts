import type { Queue } from 'bullmq';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { SlicesJob } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { readHolds } from '../../common/redis/holds.ts';
import type { Logger } from '../../common/runtime/log.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { Audit } from './audit.ts';
import { expireDeas, markLostDeas } from './deas.ts';
import { evaluateMassLoss } from './mass-loss.ts';
import { Timeline } from './timeline.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: AnalyzerMetrics;
  policy: PolicySettings;
  reconciler: Reconciler;
  audit: Audit;
  slicesQueue: Queue;
  /** Instead of STEP_AT_MOST_MS. */
  stepAtMostMs?: number;
}

/** Slices are handed out in so many jobs at most: enough for many analyzers, few enough to cost nothing. */
const GROUPS = 16;
/** Due droplets that are worth a job of their own: one batch of a look. For fewer the job would cost more than the looks. */
const DUE_PER_JOB = 500;
/**
 * A step of a job (some hundred droplets, or a slice's audit) takes a second or two. One that takes so long waits for an
 * answer that does not come: its job is given up, or its slices would not be looked through any more by anybody.
 */
const STEP_AT_MOST_MS = 60_000;
/** Due droplets of a slice that are looked at in one go. */
const DUE_AT_ONCE = 500;

/**
 * The scan: what is due is looked at, wherever it is.
 *
 * A tick asks all due lists how many droplets are due now, and makes jobs of the slices that have some; any
 * analyzer takes them. Nothing is read of droplets that are not due. A tick also finds the DEAs that have
 * fallen silent and marks their droplets due, and goes on with the slow audit.
 */
export class Tick {
  readonly #options: Options;
  readonly #timeline: Timeline;

  constructor(options: Options) {
    this.#options = options;
    this.#timeline = new Timeline(options.redis, options.clock);
  }

  /** The cron's tick. Several at once, or one too many, do no harm. */
  async run(): Promise<void> {
    const { redis, clock, policy, metrics, log, audit, slicesQueue } = this.#options;
    metrics.ticks.inc();
    const end = metrics.tickSeconds.startTimer();
    await redis.client.hset(redis.keys.scan, 'tick', clock.nowMs());
    await evaluateMassLoss({ redis, clock, policy, log, metrics });
    const holds = await readHolds(redis, clock, policy);
    // While nobody has listened for long enough silence says nothing, and all of it would be held.
    if (!holds.actualNotFresh) await markLostDeas(redis, clock, policy, log, holds);
    await expireDeas(redis, clock, policy, log);
    await this.#handOutDue();
    // A turn that nobody has taken up yet says that audits are slower than planned: the next one waits, and no slice is passed over.
    if ((await slicesQueue.getPrioritizedCount()) === 0)
      await this.#handOut(await audit.next(), GROUPS, 'audit');
    await this.#timeline.note();
    end();
  }

  /** A job of some slices: looks at all that is due in them, or audits them. */
  async work({ slices, audit }: SlicesJob): Promise<void> {
    const end = this.#options.metrics.scanSeconds.startTimer();
    if (audit) for (const slice of slices) await this.#inTime(this.#options.audit.slice(slice));
    else await this.#lookThrough(slices);
    end();
  }

  /** All slices of the job together: few are due in each, and a round trip for each slice would be most of the cost. */
  async #lookThrough(slices: readonly number[]): Promise<void> {
    const { reconciler, clock } = this.#options;
    const untilMs = clock.nowMs();
    const firsts = new Map<number, string>();
    let left = slices;
    while (left.length > 0) {
      const due = await this.#inTime(Promise.all(left.map((slice) => this.#due(slice, untilMs))));
      await this.#inTime(reconciler.reconcile(due.flat()));
      left = left.filter((slice, at) => {
        const ids = due[at] as string[];
        const [first] = ids;
        // A full batch of which none could be stored (all unreadable) must not keep this job for ever.
        const isNew = first !== undefined && firsts.get(slice) !== first;
        if (first !== undefined) firsts.set(slice, first);
        return ids.length === DUE_AT_ONCE && isNew;
      });
    }
  }

  /** What is given up may still end: all that it does can be done twice. @throws Error */
  async #inTime<T>(step: Promise<T>): Promise<T> {
    const { stepAtMostMs = STEP_AT_MOST_MS } = this.#options;
    const message = `a step of a job took more than ${stepAtMostMs} ms: the job is given up, another one follows`;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(message)), stepAtMostMs);
    });
    try {
      return await Promise.race([step, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #due(slice: number, untilMs: number): Promise<string[]> {
    const { client, keys } = this.#options.redis;
    return client.zrangebyscore(keys.due(slice), '-inf', untilMs, 'LIMIT', 0, DUE_AT_ONCE);
  }

  async #handOutDue(): Promise<void> {
    const { redis, clock } = this.#options;
    const nowMs = clock.nowMs();
    const all = Array.from({ length: redis.keys.slices }, (_, slice) => slice);
    const counts = await Promise.all(
      all.map((slice) => redis.client.zcount(redis.keys.due(slice), '-inf', nowMs)),
    );
    const due = counts.reduce((sum, count) => sum + count, 0);
    const slices = all.filter((slice) => (counts[slice] as number) > 0);
    await this.#handOut(slices, Math.min(GROUPS, Math.ceil(due / DUE_PER_JOB)), 'due');
  }

  async #handOut(slices: number[], groups: number, what: 'due' | 'audit'): Promise<void> {
    if (slices.length === 0) return;
    const byGroup = new Map<number, number[]>();
    for (const slice of slices) {
      const group = Math.floor((slice * groups) / this.#options.redis.keys.slices);
      byGroup.set(group, [...(byGroup.get(group) ?? []), slice]);
    }
    const jobs = [...byGroup].map(([group, of]) => ({
      name: `${what}: slices ${of[0]} to ${of.at(-1)}`,
      data: { slices: of, audit: what === 'audit' } satisfies SlicesJob,
      // While a group's last job is not done a second one would only do the same, unless it is to audit other slices. What is
      // due waits for no audit: a job with a priority comes after all that have none.
      opts: what === 'due' ? { jobId: `due-${group}-of-${groups}` } : { priority: 1 },
    }));
    await this.#options.slicesQueue.addBulk(jobs);
  }
}
