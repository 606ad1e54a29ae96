import { type ConnectionOptions, type Job, type Processor, Queue, Worker, type WorkerOptions } from 'bullmq';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { START_REASONS, STOP_REASONS } from '../model/reasons.ts';
import type { RedisConnections } from '../redis/connections.ts';
import { IN_HAND_MS, type Lifecycle } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { jobTelemetry } from '../tracing/tracing.ts';

/**
 * The BullMQ queues, the names and the data of their jobs.
 *
 * - `starts`: prioritized, rate-limited over the whole deployment; a job is one slot to start
 * - `restarts`: flapping restarts, delayed until they are due, past the rate limit
 * - `stops`: a job is one instance to stop
 * - `cron`: the analyzer's tick, by a job scheduler
 * - `slices`: a job is some slices to look through
 * - `sync`: a job is one pass over the bulk API
 *
 * Delays and schedules are stamped by the wall clock of whoever adds a job. So they only make things quick:
 * what must happen is in the droplets' records and in the due lists, which go by Redis's clock.
 */
export type QueueName = 'starts' | 'restarts' | 'stops' | 'cron' | 'slices' | 'sync';

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
  /** Look at all droplets of the slices, not only at those that are due. */
  audit: Type.Boolean(),
});

/** Data of a job of `starts` and `restarts`: names a slot; all else is read anew when it leaves. */
export type StartJob = Type.Static<typeof StartJobSchema>;
/** Data of a job of `stops`. */
export type StopJob = Type.Static<typeof StopJobSchema>;
/** Data of a job of `slices`. */
export type SlicesJob = Type.Static<typeof SlicesJobSchema>;

const startJob = Compile(StartJobSchema);
const stopJob = Compile(StopJobSchema);
const slicesJob = Compile(SlicesJobSchema);

/** A job whose data nobody of ours has written so: somebody edited it by hand. It is dropped. */
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
  schema: { Check(v: unknown): boolean; Errors(v: unknown): { instancePath: string; message: string }[] },
): T {
  if (schema.Check(job.data)) return job.data as T;
  const first = schema.Errors(job.data)[0];
  throw new JobDataError(job, `${first?.instancePath ?? ''} ${first?.message ?? 'does not fit'}`.trim());
}

/** @throws JobDataError */
export const readStartJob = (job: Job): StartJob => read(job, startJob);
/** @throws JobDataError */
export const readStopJob = (job: Job): StopJob => read(job, stopJob);
/** @throws JobDataError */
export const readSlicesJob = (job: Job): SlicesJob => read(job, slicesJob);

const EVENTS_KEPT = 100;

/** Of the jobs of a queue that did what they were for, so many can be looked at in Bull Board. */
const DONE_KEPT = 100;
/** Where more than that are done at once a worker keeps one in this time: it costs Redis half as much again as to end it. */
const KEEP_ONE_IN_MS = 250;

/**
 * Makes jobs that are done stay for a while, for people to see: all, or of very many some. Only for those that nobody will
 * ask for again: a job's id cannot be used while it is there.
 *
 * @param nowMs a clock that only goes forward
 */
export function keeperForPeople(nowMs = () => performance.now()): (job: Pick<Job, 'opts'>) => void {
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

/** A queue to put jobs into. Finished jobs leave at once, so that their ids can be used again; see `keeperForPeople`. */
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
    // Nobody reads BullMQ's event streams; they are kept short, as nothing in Redis may grow without bound.
    streams: { events: { maxLen: EVENTS_KEPT } },
  });
  queue.on('error', (error) => log.debug({ queue: name, err: error }, 'queue connection'));
  return lifecycle.own(`queue ${name}`, queue, (q) => q.close());
}

/** Queues whose jobs belong to a decision, and carry its trace. */
const TRACED: ReadonlySet<QueueName> = new Set(['starts', 'restarts', 'stops']);

/**
 * A worker on a queue. A job that fails is logged and gone: what it was for is still in the record, and the
 * next look asks for it again.
 *
 * The lock is short and checked often, so that the work of a process that died is taken up within seconds.
 */
export function openWorker(
  redis: RedisConnections,
  lifecycle: Lifecycle,
  log: Logger,
  name: QueueName,
  processor: Processor,
  options: Partial<WorkerOptions> = {},
): Worker {
  const worker = new Worker(name, processor, {
    connection: redis.dedicated(`worker ${name}`) as unknown as ConnectionOptions,
    prefix: redis.keys.queuePrefix,
    lockDuration: 10_000,
    stalledInterval: 5_000,
    maxStalledCount: 100,
    ...(TRACED.has(name) ? jobTelemetry() : undefined),
    ...options,
  });
  worker.on('error', (error) => log.debug({ queue: name, err: error }, 'worker connection'));
  worker.on('failed', (job, error) => log.error({ queue: name, job: job?.id, err: error }, 'job failed'));
  return lifecycle.own(`worker ${name}`, worker, (w) => w.close(), IN_HAND_MS);
}
