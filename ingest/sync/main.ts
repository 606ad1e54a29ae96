import { hostname } from 'node:os';
import { bulkCredentialsSubject } from '../../common/messages/subjects.ts';
import type { ProcessContext, ProcessDefinition } from '../../common/process.ts';
import { openQueue, openWorker } from '../../common/queues/queues.ts';
import { requestDueSync } from '../../common/queues/sync-request.ts';
import { readSyncState } from '../../common/redis/fleet/sync-state.ts';
import { collectLessOften } from '../../common/runtime/heap-growth.ts';
import { createRateLimit } from '../../common/runtime/log/log.ts';
import { logSecretProblem } from '../../common/runtime/secrets/rotating-secret.ts';
import { tlsConnector } from '../../common/runtime/secrets/tls.ts';
import { PeriodicTask } from '../../common/runtime/tasks/periodic-task.ts';
import { withTimeout } from '../../common/runtime/tasks/with-timeout.ts';
import { BulkApi } from './api/bulk-api.ts';
import { Credentials } from './api/credentials.ts';
import { syncMetrics } from './metrics.ts';
import { type PassOutcome, runPass } from './pass/pass.ts';
import { nextPassMs, readRelease } from './sync-state.ts';

/** A running sync process, for tests. */
export interface Sync {
  /** Requests a pass if one is due; also done periodically. */
  check(): Promise<void>;
}

/** Copies the desired state from the controller's bulk API to Redis. */
export const sync: ProcessDefinition = {
  name: 'sync',
  start: async (context) => {
    collectLessOften();
    await startSync(context);
  },
};

/** For tests. */
export interface SyncOptions {
  /** Time-out of a request to the bulk API (ms). */
  pageTimeoutMs?: number;
  firstDelayMs?: number;
  /** Called at the end of each pass that this process runs. */
  onPass?: (outcome: PassOutcome) => void;
}

/**
 * How often to check whether a pass is due (ms). A BullMQ job starts a requested pass sooner; this check finds a lost job. A
 * tenth of a short period, because a check just before the pass is due would double the period.
 */
export function checkEveryMs(syncPeriodMs: number): number {
  return Math.min(1000, Math.max(50, syncPeriodMs / 10));
}
/** An aborted pass may take this long to report it. */
const ABORT_WITHIN_MS = 1000;

/** Starts the sync process with the connections and settings of `context`. */
export async function startSync(context: ProcessContext, options: SyncOptions = {}): Promise<Sync> {
  const { settings, log, clock, lifecycle, redis } = context;
  const limited = createRateLimit(log);
  const queue = openQueue(redis, lifecycle, log, 'sync');
  const bus = await context.connectBus();
  const subject = bulkCredentialsSubject(settings.ccPartition);
  const credentials = new Credentials(async () => {
    const reply = await bus.request(subject, '', { timeoutMs: settings.bulkCredentialsTimeoutMs });
    return reply.data;
  });
  const api = lifecycle.own(
    'bulk api',
    new BulkApi({
      host: settings.bulkApi.host,
      batchSize: settings.bulkApi.batchSize,
      credentials,
      pageTimeoutMs: options.pageTimeoutMs ?? settings.bulkApi.timeoutMs,
      ...(settings.bulkApi.tls && { connect: tlsConnector(settings.bulkApi.tls, logSecretProblem(log)) }),
    }),
    (owned) => owned.close(),
  );
  const deps = {
    redis,
    clock,
    api,
    policy: settings.policy,
    postponeUpdateMs: settings.postponeUpdateMs,
    maxApps: settings.bulkApi.maxApps,
    log,
    limited,
    metrics: syncMetrics(context.metrics),
    owner: `${hostname()}:${process.pid}`,
    ...(options.firstDelayMs === undefined ? {} : { firstDelayMs: options.firstDelayMs }),
  };

  const runOnePass = async () => {
    // An aborted pass cannot end while Redis is disconnected. The process leaves it then, and the next pass continues.
    const outcome = await withTimeout<PassOutcome, PassOutcome>(runPass(deps, lifecycle.signal), {
      timeoutMs: ABORT_WITHIN_MS,
      countFrom: lifecycle.signal,
      onTimeout: () => 'aborted',
    });
    if (outcome !== 'aborted') context.work.done();
    options.onPass?.(outcome);
  };
  const check = async () => {
    const [state, release] = await Promise.all([readSyncState(redis), readRelease(redis)]);
    if (!release && nextPassMs(state, settings) > clock.nowMs()) return;
    // One pass at a time in the whole deployment. Set each time, because Redis may lose the setting with its data.
    await queue.setGlobalConcurrency(1);
    await requestDueSync(queue);
  };
  const checkUnlessStopping = () =>
    check().catch((error: unknown) => {
      if (!lifecycle.stopping)
        limited.warn('sync check', { event: 'sync_check_failed', err: error }, 'bulk sync check failed');
    });

  await queue.setGlobalConcurrency(1);
  openWorker(redis, lifecycle, log, 'sync', runOnePass, { concurrency: 1 });
  await checkUnlessStopping();
  const checks = new PeriodicTask(checkEveryMs(settings.syncPeriodMs), checkUnlessStopping);
  lifecycle.onStop('sync check', () => checks.cancel());
  return { check };
}
