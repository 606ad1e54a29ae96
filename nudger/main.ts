import { DelayedError, type Job, type Processor, UnrecoverableError, WaitingError } from 'bullmq';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import {
  JobDataError,
  keeperForPeople,
  openWorker,
  readStartJob,
  readStopJob,
} from '../common/queues/queues.ts';
import { FleetCounters } from '../common/redis/counters.ts';
import { SPANS, traced } from '../common/tracing/tracing.ts';
import { spanAttributes, startDelivery, stopDelivery } from './build-delivery.ts';
import { type Delivery, deliver } from './deliver.ts';
import { DeliveryStore } from './delivery-store.ts';
import { nudgerMetrics } from './metrics.ts';
import { NatsGate } from './nats-gate.ts';

/** BullMQ in, NATS out: starts and stops, each checked again when it leaves. */
export const nudger: ProcessDefinition = {
  name: 'nudger',
  start: async (context) => {
    await startNudger(context);
  },
};

/** Deliveries in hand at once: what waits in them is Redis and NATS, not this process. */
const AT_ONCE = 128;
/**
 * Of starts no more than this part of what may leave in a period: a worker takes its next job with the end of the last one,
 * and a job that it takes without costs Redis half as much again.
 */
const OF_LIMIT = 1 / 4;

/** Starts the nudger on what `context` gives. */
export async function startNudger(context: ProcessContext): Promise<void> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { policy, dryRun } = settings;
  const metrics = nudgerMetrics(context.metrics);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const bus = await context.connectBus();
  const options = {
    redis,
    store: new DeliveryStore({ redis, clock, policy }),
    bus,
    clock,
    log,
    metrics,
    counters,
    policy,
    dryRun,
    gate: new NatsGate(bus, lifecycle.signal),
  };

  const processor = (read: (job: Job) => Delivery): Processor => {
    const keepForPeople = keeperForPeople();
    return async (job, token) => {
      const delivery = readable(read, job);
      const end = await traced(SPANS.deliver, spanAttributes(delivery), () => deliver(delivery, options));
      if ('back' in end) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      if ('waitMs' in end) {
        // Its delay was stamped by a wall clock that is ahead of Redis's: wait on.
        await job.moveToDelayed(Date.now() + end.waitMs, token);
        throw new DelayedError();
      }
      if (end.settled) keepForPeople(job);
      return end.outcome;
    };
  };
  const readable = (read: (job: Job) => Delivery, job: Job): Delivery => {
    try {
      return read(job);
    } catch (error) {
      if (!(error instanceof JobDataError)) throw error;
      metrics.rejectedJobs.inc({ queue: job.queueName });
      throw new UnrecoverableError(error.message);
    }
  };

  const concurrency = AT_ONCE;
  const limiter = { max: settings.startsPerPeriod, duration: settings.startsPeriodMs };
  const starts = processor((job) => startDelivery(readStartJob(job), policy));
  const stops = processor((job) => stopDelivery(readStopJob(job), policy));
  const workers = [
    openWorker(redis, lifecycle, log, 'stops', stops, { concurrency }),
    openWorker(redis, lifecycle, log, 'restarts', starts, { concurrency }),
    openWorker(redis, lifecycle, log, 'starts', starts, {
      concurrency: Math.min(AT_ONCE, Math.ceil(OF_LIMIT * settings.startsPerPeriod)),
      limiter,
      // Counted by the wall clock; set back, it would make a wait of half a minute of it.
      maximumRateLimitDelay: settings.startsPeriodMs,
    }),
  ];
  // Without NATS a nudger takes no jobs: they are for those that have it.
  const pause = () => workers.forEach((worker) => void worker.pause(true));
  bus.onLost(pause);
  bus.onRestored(() => workers.forEach((worker) => void worker.resume()));
  if (!bus.connected()) pause();
}
