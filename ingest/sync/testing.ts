import { createRateLimit } from '../../common/log.ts';
import type { TestContext } from '../../common/testing/context.ts';
import type { FakeCc } from '../../common/testing/fake-cc.ts';
import { BulkApi, type BulkApiOptions } from './bulk-api.ts';
import { Credentials } from './credentials.ts';
import { syncMetrics } from './metrics.ts';
import { type PassDeps, type PassOutcome, runPass } from './pass.ts';

/** Passes over a fake controller, one at a time, without NATS and BullMQ. */
export interface TestSync {
  deps: PassDeps;
  /** How often the credentials were asked for. */
  asked(): number;
  pass(signal?: AbortSignal): Promise<PassOutcome>;
}

/** @param options of the API; pages of three, so that a handful of apps are several pages */
export function testSync(context: TestContext, cc: FakeCc, options: Partial<BulkApiOptions> = {}): TestSync {
  let asked = 0;
  const credentials = new Credentials(async () => {
    asked++;
    return cc.credentials();
  });
  const { lifecycle, log, settings } = context;
  const api = new BulkApi({ host: cc.host, batchSize: 3, credentials, pageTimeoutMs: 5000, ...options });
  lifecycle.own('bulk api', api, (owned) => owned.close());
  const deps: PassDeps = {
    redis: context.redis,
    clock: context.clock,
    api,
    policy: settings.policy,
    postponeUpdateMs: settings.postponeUpdateMs,
    log,
    limited: createRateLimit(log),
    metrics: syncMetrics(context.metrics),
    owner: 'test',
    firstDelayMs: 0.01,
  };
  return { deps, asked: () => asked, pass: (signal = new AbortController().signal) => runPass(deps, signal) };
}
