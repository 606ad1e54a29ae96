import type { Queue } from 'bullmq';
import type { Holds } from '../../common/model/droplet.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { removeLostJobs } from '../../common/queues/lost-jobs.ts';
import type { SlicesJob } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { readHolds } from '../../common/redis/fleet/holds/holds.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { withTimeout } from '../../common/runtime/tasks/with-timeout.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { Audit } from './audit/audit.ts';
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
  /** Overrides STEP_TIMEOUT_MS. */
  stepTimeoutMs?: number;
}

/** Most jobs that one tick makes of the slices: enough for many analyzers, few enough to cost nothing. */
const MAX_JOBS = 16;
/** Due droplets that are worth a job of their own: one batch. For fewer the job would cost more than the reconciles. */
const DUE_PER_JOB = 500;
/** Due droplets of one slice that are read at once. */
const DUE_PER_READ = 500;
/**
 * A step of a job (some hundred droplets, or the audit of one large slice) takes a second or two. A step that takes this long
 * waits for a reply that does not come. Its job then fails, because otherwise no analyzer would reconcile its slices.
 */
const STEP_TIMEOUT_MS = 60_000;

/**
 * The tick, once a second in the whole deployment. It evaluates `mass_loss`, marks the droplets of lost DEAs due, and
 * dispatches jobs: the slices that have due droplets, and the next slices of the audit. Any analyzer works on the jobs.
 *
 * A tick only counts the due droplets of each slice; it reads nothing of droplets that are not due.
 */
export class Tick {
  readonly #options: Options;
  readonly #timeline: Timeline;

  constructor(options: Options) {
    this.#options = options;
    this.#timeline = new Timeline(options.redis, options.clock);
  }

  /** One tick. Ticks may overlap, and a tick too many does no harm. */
  async run(): Promise<void> {
    const { redis, clock, policy, metrics, log } = this.#options;
    metrics.ticks.inc();
    const end = metrics.tickSeconds.startTimer();
    // What does not need the result of another step runs beside it: each round trip to a distant Redis makes the tick later.
    await Promise.all([
      redis.client.hset(redis.keys.scan, 'tick', clock.nowMs()),
      evaluateMassLoss({ redis, clock, policy, log, metrics }),
    ]);
    const holds = await readHolds(redis, clock, policy);
    await Promise.all([
      this.#dispatchLostAndDue(holds),
      expireDeas(redis, clock, policy, log, holds),
      this.#dispatchAudit(),
      // While it is not known what runs the chart has a gap.
      holds.actualNotFresh ? undefined : this.#timeline.recordPoint(holds),
    ]);
    end();
  }

  async #dispatchLostAndDue(holds: Holds): Promise<void> {
    const { redis, clock, policy, log } = this.#options;
    // Under actual_not_fresh silence is no evidence, and all starts that rest on it would be held.
    if (!holds.actualNotFresh) await markLostDeas(redis, clock, policy, log, holds);
    await this.#dispatchDue();
  }

  /** Audit jobs still waiting mean that the audit is behind: its next turn waits, so that no slice is skipped. */
  async #dispatchAudit(): Promise<void> {
    const { audit, slicesQueue } = this.#options;
    if ((await slicesQueue.getPrioritizedCount()) === 0)
      await this.#dispatch(await audit.nextSlices(), MAX_JOBS, 'audit');
  }

  /** Works on a job: reconciles all due droplets of its slices, or audits the slices. */
  async work({ slices, audit }: SlicesJob): Promise<void> {
    const end = this.#options.metrics.slicesSeconds.startTimer();
    if (audit) {
      for (let at = 0; at < slices.length; )
        at += await this.#step(this.#options.audit.auditNext(slices.slice(at)));
    } else {
      await this.#reconcileDue(slices);
    }
    end();
  }

  /** Reads all slices together: each has few due droplets, and a round trip per slice would be most of the cost. */
  async #reconcileDue(slices: readonly number[]): Promise<void> {
    const { reconciler, clock } = this.#options;
    const untilMs = clock.nowMs();
    const previousFirst = new Map<number, string>();
    let left = slices;
    while (left.length > 0) {
      const due = await this.#step(Promise.all(left.map((slice) => this.#due(slice, untilMs))));
      await this.#step(reconciler.reconcile(due.flat()));
      left = left.filter((slice, at) => {
        const ids = due[at] as string[];
        const [first] = ids;
        // If no droplet of a full read could be stored (all unreadable), the next read would be the same: stop.
        const isProgress = first !== undefined && previousFirst.get(slice) !== first;
        if (first !== undefined) previousFirst.set(slice, first);
        return ids.length === DUE_PER_READ && isProgress;
      });
    }
  }

  /** Waits for a step of a job. A step that timed out may still complete: everything it does can be done twice. */
  #step<T>(step: Promise<T>): Promise<T> {
    const { stepTimeoutMs: timeoutMs = STEP_TIMEOUT_MS } = this.#options;
    const onTimeout = () => {
      throw new Error(
        `a step of a slices job took more than ${timeoutMs} ms: the job fails, the next one repeats it`,
      );
    };
    return withTimeout(step, { timeoutMs, onTimeout });
  }

  #due(slice: number, untilMs: number): Promise<string[]> {
    const { client, keys } = this.#options.redis;
    return client.zrangebyscore(keys.due(slice), '-inf', untilMs, 'LIMIT', 0, DUE_PER_READ);
  }

  async #dispatchDue(): Promise<void> {
    const { redis, clock } = this.#options;
    const nowMs = clock.nowMs();
    const all = Array.from({ length: redis.keys.slices }, (_, slice) => slice);
    const counts = await Promise.all(
      all.map((slice) => redis.client.zcount(redis.keys.due(slice), '-inf', nowMs)),
    );
    const due = counts.reduce((sum, count) => sum + count, 0);
    const slices = all.filter((slice) => (counts[slice] as number) > 0);
    await this.#dispatch(slices, Math.min(MAX_JOBS, Math.ceil(due / DUE_PER_JOB)), 'due');
  }

  /** Divides the slices among at most `groups` jobs and enqueues them. */
  async #dispatch(slices: number[], groups: number, what: 'due' | 'audit'): Promise<void> {
    if (slices.length === 0) return;
    const byGroup = new Map<number, number[]>();
    for (const slice of slices) {
      const group = Math.floor((slice * groups) / this.#options.redis.keys.slices);
      byGroup.set(group, [...(byGroup.get(group) ?? []), slice]);
    }
    const jobs = [...byGroup].map(([group, members]) => ({
      name: `${what}: slices ${members[0]} to ${members.at(-1)}`,
      data: { slices: members, audit: what === 'audit' } satisfies SlicesJob,
      // A second job for due droplets of a group would repeat the first while that is not done, hence the fixed id. Audit
      // jobs have a priority, so they come after all jobs for due droplets, which have none.
      opts: what === 'due' ? { jobId: `due-${group}-of-${groups}` } : { priority: 1 },
    }));
    const { redis, slicesQueue } = this.#options;
    await removeLostJobs(
      redis.client,
      slicesQueue,
      jobs.flatMap(({ opts: { jobId } }) => (jobId === undefined ? [] : [jobId])),
    );
    await slicesQueue.addBulk(jobs);
  }
}
