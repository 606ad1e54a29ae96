import type { Queue } from 'bullmq';
import type { Droplet } from '../../common/model/droplet.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { removeLostJobs } from '../../common/queues/lost-jobs.ts';
import type { StartJob, StopJob } from '../../common/queues/queues.ts';
import { requestFullSync, requestSyncSince } from '../../common/queues/sync-request.ts';
import type { WebhookQueue } from '../../common/queues/webhook-queue.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import type { JobTrace } from '../../common/tracing/tracing.ts';
import type {
  DecisionResult,
  GiveUpDecision,
  StartDecision,
  StopDecision,
  UnplacedDecision,
} from '../decide/decision.ts';

/** The part of a stored evaluation that jobs are made of. */
interface Enqueueable {
  droplet: Pick<Droplet, 'id' | 'instances'>;
  decided: Pick<DecisionResult, 'decisions' | 'verifyJobs' | 'passNeededSinceMs' | 'isFullPassNeeded'>;
}

interface Options {
  redis: Pick<RedisConnections, 'client' | 'keys'>;
  clock: Clock;
  policy: Pick<PolicySettings, 'dropletLostMs'>;
  starts: Queue;
  restarts: Queue;
  stops: Queue;
  sync: Queue;
  /** Absent: no webhook is configured. */
  webhooks?: Pick<WebhookQueue, 'add'>;
}

/**
 * Makes jobs of stored decisions. A job has the id of its decision, so adding a job that exists does nothing.
 */
export class Enqueuer {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Adds, raises and removes the jobs of these decisions, and adds the jobs to be verified that are lost. Requests the bulk
   * pass that a droplet needs.
   *
   * @param traces the traces that jobs carry, by evaluation
   */
  async enqueue<E extends Enqueueable>(
    evaluations: readonly E[],
    traces?: ReadonlyMap<E, JobTrace>,
  ): Promise<void> {
    const { starts, restarts, stops } = this.#options;
    const jobs = { starts: [] as BulkJob[], restarts: [] as BulkJob[], stops: [] as BulkJob[] };
    const verified = { starts: [] as BulkJob[], stops: [] as BulkJob[] };
    const others: Promise<unknown>[] = [];
    let passNeededSinceMs: number | undefined;
    let isFullPassNeeded = false;
    for (const evaluation of evaluations) {
      const { droplet, decided } = evaluation;
      const trace = traces?.get(evaluation);
      const sinceMs = decided.passNeededSinceMs;
      if (decided.isFullPassNeeded) isFullPassNeeded = true;
      if (sinceMs !== undefined) passNeededSinceMs = Math.max(passNeededSinceMs ?? 0, sinceMs);
      for (const decision of decided.decisions) {
        if (decision.kind === 'start') {
          const queue = decision.reason === 'flapping' ? jobs.restarts : jobs.starts;
          queue.push(this.#startJob(droplet.id, decision, trace));
        } else if (decision.kind === 'stop') {
          jobs.stops.push(stopJob(droplet, decision, trace));
        } else if (decision.kind === 'raise') {
          others.push(raisePriority(starts, decision.id, decision.queuePriority));
        } else if (decision.kind === 'cancel') {
          const queue = decision.what === 'stop' ? stops : decision.reason === 'flapping' ? restarts : starts;
          // A job that a nudger works on cannot be removed; the nudger's recheck drops it.
          others.push(queue.remove(decision.id));
        } else if (decision.kind === 'giveup' || decision.kind === 'unplaced') {
          this.#report(droplet.id, decision);
        }
      }
      for (const decision of decided.verifyJobs) {
        if (decision.kind === 'stop') verified.stops.push(stopJob(droplet, decision));
        else if (decision.reason === 'flapping') others.push(this.#verifyRestart(droplet.id, decision));
        else verified.starts.push(this.#startJob(droplet.id, decision));
      }
    }
    if (passNeededSinceMs !== undefined) {
      const { sync, redis, clock } = this.#options;
      others.push(requestSyncSince(sync, redis, clock, passNeededSinceMs));
    }
    if (isFullPassNeeded) {
      const { sync, redis, clock, policy } = this.#options;
      others.push(requestFullSync(sync, redis, clock, policy));
    }
    await Promise.all([
      addAll(starts, jobs.starts),
      addAll(restarts, jobs.restarts),
      addAll(stops, jobs.stops),
      this.#addMissing(starts, verified.starts),
      this.#addMissing(stops, verified.stops),
      ...others,
    ]);
  }

  /** Webhooks do not delay the jobs. */
  #report(droplet: string, decision: GiveUpDecision | UnplacedDecision): void {
    const { webhooks, clock } = this.#options;
    const { id, index, version } = decision;
    const slot = { id, droplet, index, version, atMs: clock.nowMs() };
    if (decision.kind === 'giveup') {
      const { crashes } = decision;
      const text = `${droplet}: index ${index} is given up after ${crashes} crashes`;
      webhooks?.add({ ...slot, event: 'given_up', crashes, text });
    } else {
      const { attempts } = decision;
      const text = `${droplet}: index ${index} is unplaced: ${attempts} starts in a row had no effect`;
      webhooks?.add({ ...slot, event: 'unplaced', attempts, text });
    }
  }

  #startJob(droplet: string, decision: StartDecision, trace?: JobTrace): BulkJob {
    const { id, index, version, reason, dueMs, queuePriority } = decision;
    const data: StartJob = { id, droplet, index, version, reason };
    const name = `${reason}: start ${droplet}/${index}`;
    if (dueMs === undefined) return { name, data, opts: { jobId: id, priority: queuePriority, ...trace } };
    const delay = Math.max(0, dueMs - this.#options.clock.nowMs());
    return { name, data, opts: { jobId: id, delay, ...trace } };
  }

  /**
   * Adds the jobs that are not in the queue. Checking for a job costs a fraction of adding it, and nearly always all
   * jobs exist.
   *
   * A completed job of a start or stop that is still pending is added again: Redis has lost its outcome, for instance
   * in a failover. So is one that Redis has lost a part of.
   */
  async #addMissing(queue: Queue, jobs: BulkJob[]): Promise<void> {
    if (jobs.length === 0) return;
    const { client } = this.#options.redis;
    const ids = jobs.map(({ opts }) => opts.jobId);
    const [existing, waitsAt] = await Promise.all([
      client.exists(...ids.map((id) => queue.toKey(id))),
      client.zmscore(queue.toKey('prioritized'), ...ids),
    ]);
    // Nearly every job is among the prioritized ones, so the state of few others is read.
    const elsewhere = ids.filter((_, at) => waitsAt[at] == null);
    const lost = await removeLostJobs(client, queue, elsewhere);
    if (existing < jobs.length || lost.length > 0) await addAll(queue, jobs);
  }

  /**
   * Adds the job of a restart if it is lost or completed. Promotes it if it is due but still delayed, because the wall
   * clock that stamped its delay is ahead.
   */
  async #verifyRestart(droplet: string, decision: StartDecision): Promise<void> {
    const { redis, restarts, clock } = this.#options;
    await removeLostJobs(redis.client, restarts, [decision.id]);
    const job = await restarts.getJob(decision.id);
    if (job === undefined) {
      await addAll(restarts, [this.#startJob(droplet, decision)]);
    } else if (decision.dueMs !== undefined && decision.dueMs <= clock.nowMs() && (await job.isDelayed())) {
      await job.promote();
    }
  }
}

interface BulkJob {
  name: string;
  data: StartJob | StopJob;
  opts: { jobId: string; priority?: number; delay?: number } & Partial<JobTrace>;
}

/** Its name is for people, who know an instance by its index and its DEA. */
function stopJob(
  droplet: Pick<Droplet, 'id' | 'instances'>,
  { id, index, instance, reason }: StopDecision,
  trace?: JobTrace,
): BulkJob {
  const dea = droplet.instances.find(({ guid }) => guid === instance)?.dea;
  return {
    name: `${reason}: stop ${droplet.id}/${index}${dea === undefined ? '' : ` on ${dea}`}`,
    data: { id, droplet: droplet.id, instance, reason },
    opts: { jobId: id, ...trace },
  };
}

/** A single job is added without the transaction that `addBulk` needs. */
async function addAll(queue: Queue, jobs: BulkJob[]): Promise<void> {
  const [first] = jobs;
  if (jobs.length > 1) await queue.addBulk(jobs);
  else if (first !== undefined) await queue.add(first.name, first.data, first.opts);
}

/** Does nothing if the job is gone already. */
async function raisePriority(queue: Queue, id: string, priority: number): Promise<void> {
  const job = await queue.getJob(id);
  await job?.changePriority({ priority });
}
