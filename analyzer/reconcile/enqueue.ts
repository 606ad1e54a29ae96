import type { Queue } from 'bullmq';
import type { Droplet } from '../../common/model/droplet.ts';
import type { StartJob, StopJob } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import type { JobTrace } from '../../common/tracing/tracing.ts';
import type { DecisionResult, StartDecision, StopDecision } from '../decide/decision.ts';

/** What was decided about a droplet, and is stored. */
interface Stored {
  droplet: Pick<Droplet, 'id'>;
  decided: Pick<DecisionResult, 'decisions' | 'verifyJobs'>;
}

interface Options {
  redis: Pick<RedisConnections, 'client'>;
  clock: Clock;
  starts: Queue;
  restarts: Queue;
  stops: Queue;
}

/**
 * Makes jobs of decisions that are stored. A job's id is its decision's, so adding it once more, to make sure
 * that it exists, does nothing where it does.
 */
export class Enqueuer {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Enqueues, raises and takes back what these looks decided, and makes sure of what has waited for long.
   *
   * @param traces of the looks that are traced, what their jobs carry
   */
  async enqueue<Look extends Stored>(
    evaluations: readonly Look[],
    traces?: ReadonlyMap<Look, JobTrace>,
  ): Promise<void> {
    const { starts, restarts, stops } = this.#options;
    const jobs = { starts: [] as BulkJob[], restarts: [] as BulkJob[], stops: [] as BulkJob[] };
    const ensured = { starts: [] as BulkJob[], stops: [] as BulkJob[] };
    const others: Promise<unknown>[] = [];
    for (const look of evaluations) {
      const { droplet, decided } = look;
      const trace = traces?.get(look);
      for (const decision of decided.decisions) {
        if (decision.kind === 'start') {
          const queue = decision.reason === 'flapping' ? jobs.restarts : jobs.starts;
          queue.push(this.#startJob(droplet.id, decision, trace));
        } else if (decision.kind === 'stop') {
          jobs.stops.push(stopJob(droplet.id, decision, trace));
        } else if (decision.kind === 'raise') {
          others.push(raisePriority(starts, decision.id, decision.queuePriority));
        } else if (decision.kind === 'cancel') {
          const queue = decision.what === 'stop' ? stops : decision.reason === 'flapping' ? restarts : starts;
          // One that a nudger has in hand cannot be removed; its check finds that it is taken back.
          others.push(queue.remove(decision.id));
        }
      }
      for (const decision of decided.verifyJobs) {
        if (decision.kind === 'stop') ensured.stops.push(stopJob(droplet.id, decision));
        else if (decision.reason === 'flapping') others.push(this.#ensureRestart(droplet.id, decision));
        else ensured.starts.push(this.#startJob(droplet.id, decision));
      }
    }
    await Promise.all([
      addAll(starts, jobs.starts),
      addAll(restarts, jobs.restarts),
      addAll(stops, jobs.stops),
      this.#addMissing(starts, ensured.starts),
      this.#addMissing(stops, ensured.stops),
      ...others,
    ]);
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
   * Adding a job that is there does no harm, but costs many times as much as to see that it is; and nearly always all are. One
   * that is done was not: Redis has lost what the record said of it since (a failover), so it is done again.
   */
  async #addMissing(queue: Queue, jobs: BulkJob[]): Promise<void> {
    if (jobs.length === 0) return;
    const { client } = this.#options.redis;
    const keys = jobs.map(({ opts }) => queue.toKey(opts.jobId));
    const [there, ended] = await Promise.all([
      client.exists(...keys),
      client.zmscore(queue.toKey('completed'), ...jobs.map(({ opts }) => opts.jobId)),
    ]);
    const done = jobs.filter((_, at) => ended[at] != null);
    await Promise.all(done.map(({ opts }) => queue.remove(opts.jobId)));
    if (there < jobs.length || done.length > 0) await addAll(queue, jobs);
  }

  /** A restart that is due and still delayed: its delay was stamped by a wall clock that is ahead. */
  async #ensureRestart(droplet: string, decision: StartDecision): Promise<void> {
    const { restarts, clock } = this.#options;
    const job = await restarts.getJob(decision.id);
    if (job?.finishedOn !== undefined) await restarts.remove(decision.id);
    if (job === undefined || job.finishedOn !== undefined) {
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

function stopJob(droplet: string, { id, instance, reason }: StopDecision, trace?: JobTrace): BulkJob {
  return {
    name: `${reason}: stop ${instance} of ${droplet}`,
    data: { id, droplet, instance, reason },
    opts: { jobId: id, ...trace },
  };
}

/** A single job needs no transaction around it. */
async function addAll(queue: Queue, jobs: BulkJob[]): Promise<void> {
  const [first] = jobs;
  if (jobs.length > 1) await queue.addBulk(jobs);
  else if (first !== undefined) await queue.add(first.name, first.data, first.opts);
}

/** A job that has left meanwhile needs no new priority. */
async function raisePriority(queue: Queue, id: string, priority: number): Promise<void> {
  const job = await queue.getJob(id);
  await job?.changePriority({ priority });
}
