import { randomUUID } from 'node:crypto';
import type { Job } from 'bullmq';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue, openWorker, readSlicesJob } from '../common/queues/queues.ts';
import { WebhookQueue } from '../common/queues/webhook-queue.ts';
import { consumeEvents } from './event-consumer.ts';
import { analyzerMetrics } from './metrics.ts';
import { Enqueuer } from './reconcile/enqueue.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { Audit } from './tick/audit/audit.ts';
import { startCron } from './tick/cron.ts';
import { watchKeyTypes } from './tick/repairs/key-types.ts';
import { Tick } from './tick/tick.ts';

/** Redis in, jobs out: reconciles the droplets that are due or have an event, and enqueues the decided starts and stops. */
export const analyzer: ProcessDefinition = {
  name: 'analyzer',
  start: async (context) => {
    await startAnalyzer(context);
  },
};

/** What tests can do with a running analyzer. */
export interface Analyzer {
  tick(): Promise<void>;
}

/** Jobs that one process works on at once. The slices of one job are reconciled together or audited one by one. */
const SLICES_JOBS_AT_ONCE = 2;

/** Where given-up and unplaced slots are reported. */
function openWebhooks({ settings, log, lifecycle, redis }: ProcessContext): WebhookQueue {
  const { webhooks: hooks, redisPrefix: prefix, ccPartition: partition } = settings;
  const queue = openQueue(redis, lifecycle, log, 'webhooks');
  return new WebhookQueue({ queue, hooks, deployment: { prefix, partition }, log });
}

/** Starts the analyzer. */
export async function startAnalyzer(context: ProcessContext): Promise<Analyzer> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { policy, auditRate } = settings;
  const metrics = analyzerMetrics(context.metrics);
  await watchKeyTypes({ redis, log, metrics, lifecycle, policy });
  const enqueuer = new Enqueuer({
    redis,
    clock,
    policy,
    starts: openQueue(redis, lifecycle, log, 'starts'),
    restarts: openQueue(redis, lifecycle, log, 'restarts'),
    stops: openQueue(redis, lifecycle, log, 'stops'),
    sync: openQueue(redis, lifecycle, log, 'sync'),
    ...(settings.webhooks.length > 0 && { webhooks: openWebhooks(context) }),
  });
  const reconciler = new Reconciler({ redis, clock, log, metrics, policy, enqueuer });
  const audit = new Audit({ redis, clock, log, metrics, policy, reconciler, auditRate });
  const slicesQueue = openQueue(redis, lifecycle, log, 'slices');
  const tick = new Tick({ redis, clock, log, metrics, policy, reconciler, audit, slicesQueue });

  const workOn = async (job: Job) => {
    await tick.work(readSlicesJob(job));
    context.work.done();
  };
  openWorker(redis, lifecycle, log, 'slices', workOn, {
    concurrency: SLICES_JOBS_AT_ONCE,
  });
  consumeEvents({
    redis,
    log,
    lifecycle,
    metrics,
    consumer: randomUUID(),
    reconcile: async (droplets, causes) => {
      await reconciler.reconcile(droplets, causes);
      context.work.done();
    },
  });
  await startCron({ redis, clock, log, lifecycle, policy, tick: () => tick.run() });
  return { tick: () => tick.run() };
}
