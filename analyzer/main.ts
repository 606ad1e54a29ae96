import { randomUUID } from 'node:crypto';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue, openWorker, readSlicesJob } from '../common/queues/queues.ts';
import { readEvents } from './event-consumer.ts';
import { analyzerMetrics } from './metrics.ts';
import { Enqueuer } from './reconcile/enqueue.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { Audit } from './tick/audit.ts';
import { startCron } from './tick/cron.ts';
import { Tick } from './tick/tick.ts';

/** Redis in, jobs out: looks at what is due or had an event, decides, and enqueues. */
export const analyzer: ProcessDefinition = {
  name: 'analyzer',
  start: async (context) => {
    await startAnalyzer(context);
  },
};

/** What tests do with a running analyzer. */
export interface Analyzer {
  tick(): Promise<void>;
}

/** Slices of one job are looked through one after the other; so many jobs go side by side in one process. */
const JOBS_AT_ONCE = 2;

/** Starts the analyzer on what `context` gives. */
export async function startAnalyzer(context: ProcessContext): Promise<Analyzer> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { policy, auditRate } = settings;
  const metrics = analyzerMetrics(context.metrics);
  const enqueuer = new Enqueuer({
    redis,
    clock,
    starts: openQueue(redis, lifecycle, log, 'starts'),
    restarts: openQueue(redis, lifecycle, log, 'restarts'),
    stops: openQueue(redis, lifecycle, log, 'stops'),
  });
  const reconciler = new Reconciler({ redis, clock, log, metrics, policy, enqueuer });
  const audit = new Audit({ redis, clock, policy, reconciler, auditRate });
  const slicesQueue = openQueue(redis, lifecycle, log, 'slices');
  const scanner = new Tick({ redis, clock, log, metrics, policy, reconciler, audit, slicesQueue });
  const tick = () => scanner.run();

  openWorker(redis, lifecycle, log, 'slices', (job) => scanner.work(readSlicesJob(job)), {
    concurrency: JOBS_AT_ONCE,
  });
  readEvents({
    redis,
    log,
    lifecycle,
    metrics,
    consumer: randomUUID(),
    look: (droplets, causes) => reconciler.reconcile(droplets, causes),
  });
  await startCron({ redis, clock, log, lifecycle, policy, tick });
  return { tick };
}
