import {
  type ConnectionOptions,
  type Job,
  type Processor,
  Queue,
  type Worker,
  type WorkerOptions,
} from 'bullmq';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { START_REASONS, STOP_REASONS } from '../model/reasons.ts';
import { problemLevel } from '../redis/connection/connection-error.ts';
import type { RedisConnections } from '../redis/connection/connections.ts';
import { DRAIN_TIMEOUT_MS, type Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger } from '../runtime/log/log.ts';
import { jobTelemetry } from '../tracing/tracing.ts';
import { PatientWorker } from './patient-worker.ts';

/**
 * The BullMQ queues, and the data of their jobs.
 *
 * - `starts`: prioritized, rate-limited over the whole deployment; a job is one slot to start
 * - `restarts`: restarts of flapping slots, delayed until they are due, not rate-limited
 * - `stops`: a job is one instance to stop
 * - `cron`: the analyzer's tick, by a job scheduler
 * - `slices`: a job is some slices, of which the due droplets or all droplets are reconciled
 * - `sync`: a job is one pass over the bulk API
 * - `webhooks`: a job is one event for one receiver (webhook-queue.ts)
 *
 * Delays and schedules go by the wall clock of the process that adds a job, which may be wrong. So jobs only make things
 * quick. What must happen is in the droplets' records and in the due lists, which go by Redis's clock.
 */
export const QUEUE_NAMES = ['starts', 'restarts', 'stops', 'cron', 'slices', 'sync', 'webhooks'] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

export const StartJobSchema = Type.Object({
  id: Type.String({ minLength: 1 }),
  droplet: Type.String({ minLength: 1 }),
  index: Type.Integer({ minimum: 0, maximum: 65535 }),
  version: Type.String(),
  reason: Type.Enum(START_REASONS),
});

export const StopJobSchema = Type.Object({
  id: Type.String({ minLength: 1 }),
  droplet: Type.String({ minLength: 1 }),
  instance: Type.String({ minLength: 1 }),
  reason: Type.Enum(STOP_REASONS),
});

export const SlicesJobSchema = Type.Object({
  slices: Type.Array(Type.Integer({ minimum: 0 })),
  /** Reconcile all droplets of the slices, not only those that are due. */
  audit: Type.Boolean(),
});

/** Data of a job of `starts` and `restarts`: names a slot; everything else is read again before the start is sent. */
export type StartJob = Type.Static<typeof StartJobSchema>;
/** Data of a job of `stops`. */
export type StopJob = Type.Static<typeof StopJobSchema>;
/** Data of a job of `slices`. */
export type SlicesJob = Type.Static<typeof SlicesJobSchema>;

const startJob = Compile(StartJobSchema);
const stopJob = Compile(StopJobSchema);
const slicesJob = Compile(SlicesJobSchema);

/** The data of a job is not in the format this program writes: the job was edited by hand. It is dropped. */
export class JobDataError extends Error {
  constructor(job: Pick<Job, 'id' | 'queueName' | 'data'>, problem: string) {
    super(
      `queue ${job.queueName}, job ${job.id}: data ${problem}: ${JSON.stringify(job.data)?.slice(0, 200)}`,
    );
    this.name = 'JobDataError';
  }
}

function read<T>(
  job: Job,
  schema: { Check(v: unknown): v is T; Errors(v: unknown): { instancePath: string; message: string }[] },
): T {
  const data: unknown = job.data;
  if (schema.Check(data)) return data;
  const first = schema.Errors(data)[0];
  throw new JobDataError(job, `${first?.instancePath ?? ''} ${first?.message ?? 'does not fit'}`.trim());
}

/** @throws JobDataError */
export const readStartJob = (job: Job): StartJob => read(job, startJob);
/** @throws JobDataError */
export const readStopJob = (job: Job): StopJob => read(job, stopJob);
/** @throws JobDataError */
export const readSlicesJob = (job: Job): SlicesJob => read(job, slicesJob);

const EVENTS_KEPT = 100;

/** Completed jobs of a queue that Bull Board can show. */
const DONE_KEPT = 100;
/** Above that number a worker keeps one job in this time: keeping a job costs Redis half as much again as removing it. */
const KEEP_ONE_IN_MS = 250;

/**
 * Keeps completed jobs for Bull Board: all of them, or a sample when there are very many. Only for jobs whose id is not used
 * again, because a job that exists blocks its id.
 *
 * @param nowMs a monotonic clock (ms)
 */
export function createDoneJobKeeper(nowMs = () => performance.now()): (job: Pick<Job, 'opts'>) => void {
  let room = DONE_KEPT;
  let sinceMs = nowMs();
  return (job) => {
    const atMs = nowMs();
    room = Math.min(DONE_KEPT, room + (atMs - sinceMs) / KEEP_ONE_IN_MS);
    sinceMs = atMs;
    if (room < 1) return;
    room--;
    job.opts.removeOnComplete = { count: DONE_KEPT };
  };
}

/** Opens a queue for adding jobs. Finished jobs are removed, so that their ids can be used again; see `createDoneJobKeeper`. */
export function openQueue(
  redis: RedisConnections,
  lifecycle: Lifecycle,
  log: Logger,
  name: QueueName,
): Queue {
  const queue = new Queue(name, {
    connection: redis.dedicated(`queue ${name}`) as unknown as ConnectionOptions,
    prefix: redis.keys.queuePrefix,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    // Nothing reads BullMQ's event streams, and nothing in Redis may grow without bound.
    streams: { events: { maxLen: EVENTS_KEPT } },
  });
  logErrors(queue, log, name);
  return lifecycle.own(`queue ${name}`, queue, (q) => q.close());
}

/** Queues whose jobs belong to a decision and carry its trace. */
const TRACED: ReadonlySet<QueueName> = new Set(['starts', 'restarts', 'stops']);

/**
 * Opens a worker of a queue. A job that fails is logged and removed: the decision is still in the record, and the next
 * reconcile enqueues it again.
 *
 * The lock is short and checked often, so that another process takes over the jobs of a dead one within seconds.
 */
export function openWorker(
  redis: RedisConnections,
  lifecycle: Lifecycle,
  log: Logger,
  name: QueueName,
  processor: Processor,
  options: Partial<WorkerOptions> = {},
): Worker {
  const worker = new PatientWorker(name, processor, {
    connection: redis.dedicated(`worker ${name}`) as unknown as ConnectionOptions,
    prefix: redis.keys.queuePrefix,
    lockDuration: 10_000,
    stalledInterval: 5_000,
    maxStalledCount: 100,
    // Also of a job whose options Redis has lost: kept, it would block its id.
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    ...(TRACED.has(name) ? jobTelemetry() : undefined),
    ...options,
  });
  logErrors(worker, log, name);
  worker.on('failed', (job, error) =>
    log.error({ event: 'job_failed', queue: name, job: job?.id, err: error }, 'job failed'),
  );
  return lifecycle.own(`worker ${name}`, worker, (w) => w.close(), DRAIN_TIMEOUT_MS);
}

type ErrorSource = { on(event: 'error', listener: (error: Error) => void): unknown };

/** A queue or a worker repeats its error for as long as the cause lasts. */
function logErrors(source: ErrorSource, log: Logger, name: QueueName): void {
  const limited = createRateLimit(log);
  source.on('error', (error: Error) =>
    limited[problemLevel(error)](
      `queue ${name}`,
      { event: 'queue_error', queue: name, err: error },
      'queue reported an error',
    ),
  );
}
