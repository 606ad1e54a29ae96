import { hostname } from 'node:os';
import { bulkCredentialsSubject } from '../../common/messages/subjects.ts';
import type { ProcessContext, ProcessDefinition } from '../../common/process.ts';
import { openQueue, openWorker } from '../../common/queues/queues.ts';
import { requestDueSync } from '../../common/queues/sync-request.ts';
import { createRateLimit } from '../../common/runtime/log.ts';
import { BulkApi } from './api/bulk-api.ts';
import { Credentials } from './api/credentials.ts';
import { syncMetrics } from './metrics.ts';
import { type PassOutcome, runPass } from './pass/pass.ts';
import { nextPassMs, readRelease, readSyncState } from './sync-state.ts';

/** What tests do with a running sync process. */
export interface Sync {
  /** Asks for a pass if one is due by the clock; done once a second besides. */
  check(): Promise<void>;
}

/** Desired state in: the controller's bulk API to Redis. */
export const sync: ProcessDefinition = {
  name: 'sync',
  start: async (context) => {
    await startSync(context);
  },
};

/** For tests. */
export interface SyncOptions {
  /** Of requests to the bulk API. */
  pageTimeoutMs?: number;
  firstDelayMs?: number;
  /** Hears of the end of each pass that this process runs. */
  onPass?: (outcome: PassOutcome) => void;
}

/** How often it is looked whether a pass is due. BullMQ makes it quick; this makes it sure. */
const CHECK_EVERY_MS = 1000;
/** A pass that is broken off has this long to say so. */
const ABORT_WITHIN_MS = 1000;

/** Starts the sync process on what `context` gives. */
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
  const { pageTimeoutMs } = options;
  const api = lifecycle.own(
    'bulk api',
    new BulkApi({
      host: settings.bulkApi.host,
      batchSize: settings.bulkApi.batchSize,
      credentials,
      ...(pageTimeoutMs === undefined ? {} : { pageTimeoutMs }),
    }),
    (owned) => owned.close(),
  );
  const deps = {
    redis,
    clock,
    api,
    policy: settings.policy,
    postponeUpdateMs: settings.postponeUpdateMs,
    log,
    limited,
    metrics: syncMetrics(context.metrics),
    owner: `${hostname()}:${process.pid}`,
    ...(options.firstDelayMs === undefined ? {} : { firstDelayMs: options.firstDelayMs }),
  };

  const onePass = async () => {
    const outcome = await abandoned(runPass(deps, lifecycle.signal), lifecycle.signal);
    options.onPass?.(outcome);
  };
  const check = async () => {
    const [state, release] = await Promise.all([readSyncState(redis), readRelease(redis)]);
    if (!release && nextPassMs(state, settings) > clock.nowMs()) return;
    // One pass at a time in the whole deployment. Said again each time: it is in Redis, and may be lost with it.
    await queue.setGlobalConcurrency(1);
    await requestDueSync(queue);
  };
  const checkUnlessStopping = () =>
    check().catch((error: unknown) => {
      if (!lifecycle.stopping)
        limited.warn('sync check', { err: error }, 'whether a bulk sync is due is not known');
    });

  await queue.setGlobalConcurrency(1);
  openWorker(redis, lifecycle, log, 'sync', onePass, { concurrency: 1 });
  await checkUnlessStopping();
  let checking = false;
  const timer = setInterval(() => {
    if (checking) return; // Redis is away: one that waits is enough
    checking = true;
    void checkUnlessStopping().finally(() => {
      checking = false;
    });
  }, CHECK_EVERY_MS);
  lifecycle.onStop('sync check', () => clearInterval(timer));
  return { check };
}

/** A pass whose process stops ends by itself, unless Redis is away: then it is left where it is, and the next goes on. */
async function abandoned(pass: Promise<PassOutcome>, signal: AbortSignal): Promise<PassOutcome> {
  let timer: NodeJS.Timeout | undefined;
  let stop = () => {};
  const late = new Promise<PassOutcome>((resolve) => {
    stop = () => {
      timer = setTimeout(() => resolve('aborted'), ABORT_WITHIN_MS);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([pass, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
