import { DelayedError, type Job, type Processor, UnrecoverableError, WaitingError } from 'bullmq';
import type { Bus } from '../common/nats/bus.ts';
import { sendDeadlineMs } from '../common/policy/thresholds.ts';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import {
  createDoneJobKeeper,
  JobDataError,
  openWorker,
  readStartJob,
  readStopJob,
} from '../common/queues/queues.ts';
import { FleetCounters } from '../common/redis/fleet/counters.ts';
import { SPANS, traced } from '../common/tracing/tracing.ts';
import { type Controller, httpController, natsController } from './controller.ts';
import { spanAttributes, startDelivery, stopDelivery } from './delivery/build-delivery.ts';
import { type Delivery, deliver } from './delivery/deliver.ts';
import { DeliveryStore } from './delivery/delivery-store.ts';
import { ENCODERS } from './dialect.ts';
import { nudgerMetrics } from './metrics.ts';
import { NatsGate } from './nats-gate.ts';

/** BullMQ in, NATS out: sends starts and stops, each rechecked just before it is sent. */
export const nudger: ProcessDefinition = {
  name: 'nudger',
  start: async (context) => {
    await startNudger(context);
  },
};

/** Deliveries at once. Each spends most of its time waiting for Redis and NATS. */
const CONCURRENCY = 128;
/**
 * Concurrent starts as a share of the starts that may be sent in one period. A worker that finishes a job fetches the
 * next one in the same command; a fetch of its own costs Redis half as much again.
 */
const CONCURRENT_SHARE = 1 / 4;

export async function startNudger(context: ProcessContext): Promise<void> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { policy, dryRun } = settings;
  const encoder = ENCODERS[settings.dialect];
  const metrics = nudgerMetrics(context.metrics);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const bus = await context.connectBus();
  const options = {
    redis,
    store: new DeliveryStore({ redis, clock, policy }),
    controller: openController(context, bus),
    clock,
    log,
    metrics,
    counters,
    policy,
    dryRun,
    gate: new NatsGate(bus, lifecycle.signal),
  };

  const processor = (read: (job: Job) => Delivery): Processor => {
    const keepDoneJob = createDoneJobKeeper();
    return async (job, token) => {
      const delivery = readJob(read, job);
      const result = await traced(SPANS.deliver, spanAttributes(delivery), () => deliver(delivery, options));
      if ('requeue' in result) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      if ('waitMs' in result) {
        // The wall clock that stamped the delay is ahead of Redis's clock.
        await job.moveToDelayed(Date.now() + result.waitMs, token);
        throw new DelayedError();
      }
      context.work.done();
      if (result.settled) keepDoneJob(job);
      return result.outcome;
    };
  };
  const readJob = (read: (job: Job) => Delivery, job: Job): Delivery => {
    try {
      return read(job);
    } catch (error) {
      if (!(error instanceof JobDataError)) throw error;
      metrics.rejectedJobs.inc({ queue: job.queueName });
      throw new UnrecoverableError(error.message);
    }
  };

  const limiter = { max: settings.startsPerPeriod, duration: settings.startsPeriodMs };
  const starts = processor((job) => startDelivery(readStartJob(job), encoder));
  const stops = processor((job) => stopDelivery(readStopJob(job), encoder));
  const workers = [
    openWorker(redis, lifecycle, log, 'stops', stops, { concurrency: CONCURRENCY }),
    openWorker(redis, lifecycle, log, 'restarts', starts, { concurrency: CONCURRENCY }),
    openWorker(redis, lifecycle, log, 'starts', starts, {
      concurrency: Math.min(CONCURRENCY, Math.ceil(CONCURRENT_SHARE * settings.startsPerPeriod)),
      limiter,
      // BullMQ measures the wait by the wall clock: a clock that is set back would make it half a minute.
      maximumRateLimitDelay: settings.startsPeriodMs,
    }),
  ];
  // A nudger without NATS takes no jobs, so that connected nudgers get them.
  const pause = () => workers.forEach((worker) => void worker.pause(true));
  bus.onLost(pause);
  bus.onRestored(() => workers.forEach((worker) => void worker.resume()));
  if (!bus.connected()) pause();
}

/** Where starts and stops go: with `hm9000-http` to the controller's internal API, else over NATS. */
function openController({ settings, lifecycle }: ProcessContext, bus: Bus): Controller {
  const withinMs = sendDeadlineMs(settings.policy);
  if (settings.internalApi === undefined || settings.dialect !== 'hm9000-http')
    return natsController(bus, withinMs);
  const controller = httpController(settings.internalApi, withinMs);
  lifecycle.own('controller', controller, (owned) => owned.close());
  return controller;
}
