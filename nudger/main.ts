import { DelayedError, type Job, type Processor, UnrecoverableError } from 'bullmq';
import { FleetCounters } from '../common/counters.ts';
import { startMessage, stopMessage } from '../common/messages.ts';
import { checkStart, checkStop } from '../common/policy/check.ts';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import {
  JobDataError,
  openWorker,
  readStartJob,
  readStopJob,
  type StartJob,
  type StopJob,
} from '../common/queues.ts';
import { SUBJECTS } from '../common/subjects.ts';
import { type Delivery, deliver } from './deliver.ts';
import { Gate } from './gate.ts';
import { nudgerMetrics } from './metrics.ts';

/** BullMQ in, NATS out: starts and stops, each checked again when it leaves. */
export const nudger: ProcessDefinition = {
  name: 'nudger',
  start: async (context) => {
    await startNudger(context);
  },
};

/** Deliveries in hand at once: what waits in them is Redis and NATS, not this process. */
const AT_ONCE = 64;

/** Starts the nudger on what `context` gives. */
export async function startNudger(context: ProcessContext): Promise<void> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { policy, dryRun } = settings;
  const metrics = nudgerMetrics(context.metrics);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const bus = await context.connectBus();
  const options = {
    redis,
    bus,
    clock,
    log,
    metrics,
    counters,
    policy,
    dryRun,
    gate: new Gate(bus, lifecycle.signal),
  };

  const start = (job: StartJob): Delivery => ({
    id: job.id,
    droplet: job.droplet,
    subject: SUBJECTS.start,
    log: { index: job.index, version: job.version, reason: job.reason },
    decidedMs: (droplet) => {
      const pending = droplet.slots.get(job.index)?.start;
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    check: (droplet, deas, holds, nowMs) => {
      const checked = checkStart(droplet, job, deas, holds, nowMs, policy);
      return 'send' in checked ? { ...checked, send: startMessage(checked.send) } : checked;
    },
  });
  const stop = (job: StopJob): Delivery => ({
    id: job.id,
    droplet: job.droplet,
    subject: SUBJECTS.stop,
    log: { instance: job.instance, reason: job.reason },
    decidedMs: (droplet) => {
      const pending = droplet.stops.get(job.instance);
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    check: (droplet, deas, holds, nowMs) => {
      const checked = checkStop(droplet, job, deas, holds, nowMs, policy);
      return 'send' in checked ? { ...checked, send: stopMessage(checked.send) } : checked;
    },
  });

  const processor =
    (read: (job: Job) => Delivery): Processor =>
    async (job, token) => {
      const waitMs = await deliver(readable(read, job), options);
      if (waitMs === undefined) return;
      // Its delay was stamped by a wall clock that is ahead of Redis's: wait on.
      await job.moveToDelayed(Date.now() + waitMs, token);
      throw new DelayedError();
    };
  const readable = (read: (job: Job) => Delivery, job: Job): Delivery => {
    try {
      return read(job);
    } catch (error) {
      if (!(error instanceof JobDataError)) throw error;
      metrics.badJobs.inc({ queue: job.queueName });
      throw new UnrecoverableError(error.message);
    }
  };

  const concurrency = AT_ONCE;
  const limiter = { max: settings.startsPerPeriod, duration: settings.startsPeriodMs };
  const starts = processor((job) => start(readStartJob(job)));
  openWorker(
    redis,
    lifecycle,
    log,
    'stops',
    processor((job) => stop(readStopJob(job))),
    { concurrency },
  );
  openWorker(redis, lifecycle, log, 'restarts', starts, { concurrency });
  openWorker(redis, lifecycle, log, 'starts', starts, { concurrency, limiter });
}
