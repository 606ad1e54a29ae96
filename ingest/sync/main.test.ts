import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { defaultSettings } from '../../common/config/settings.ts';
import { openQueue } from '../../common/queues/queues.ts';
import { requestSync } from '../../common/queues/sync-request.ts';
import { Lifecycle } from '../../common/runtime/lifecycle/lifecycle.ts';
import { ManualClock, recordOf, type TestContext, testContext } from '../../common/testing/context.ts';
import { startNats, type TestNats } from '../../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { SimulatedController } from '../../deploy/verify/sim/controller.ts';
import { checkEveryMs, type Sync, startSync } from './main.ts';
import type { PassOutcome } from './pass/pass.ts';

let redis: TestRedis;
let nats: TestNats;
let cc: SimulatedController;
let clock: ManualClock;
let contexts: TestContext[];

beforeAll(async () => {
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
});
afterAll(() => Promise.all([redis.stop(), nats.stop()]));

beforeEach(async () => {
  cc = await SimulatedController.start();
  clock = new ManualClock();
  contexts = [];
});
afterEach(async () => {
  const context = await testContext({ redis, settings: { slices: 4 } });
  await Promise.all(contexts.map(({ lifecycle }) => lifecycle.stop()));
  await context.redis.client.flushall();
  await context.lifecycle.stop();
  await cc.stop();
});

interface Started {
  context: TestContext;
  sync: Sync;
  outcomes: PassOutcome[];
  /** Payloads of the requests for credentials. */
  requests: string[];
}

interface StartOptions {
  /** The controller never answers the request for credentials. */
  isControllerSilent?: boolean;
  postponeUpdateMs?: number;
  firstDelayMs?: number;
}

async function start(options: StartOptions = {}): Promise<Started> {
  const { isControllerSilent = false, postponeUpdateMs, firstDelayMs = 0.01 } = options;
  const bulkApi = { ...defaultSettings().bulkApi, host: cc.host, batchSize: 3 };
  const settings = {
    slices: 4,
    ccPartition: 'zone-2',
    bulkApi,
    ...(isControllerSilent ? { bulkCredentialsTimeoutMs: 2 } : {}),
    ...(postponeUpdateMs === undefined ? {} : { postponeUpdateMs }),
  };
  const context = await testContext({ redis, nats, clock, settings, lifecycle: new Lifecycle() });
  contexts.push(context);
  const bus = await context.connectBus();
  const requests: string[] = [];
  bus.subscribe('cloudcontroller.bulk.credentials.zone-2', { queue: 'cc' }, (message) => {
    requests.push(message.string());
    if (!isControllerSilent) message.respond(cc.credentials());
  });
  await bus.flush();
  const outcomes: PassOutcome[] = [];
  const sync = await startSync(context, { firstDelayMs, onPass: (outcome) => outcomes.push(outcome) });
  return { context, sync, outcomes, requests };
}

const state = ({ context: { redis } }: Started) => redis.client.hgetall(redis.keys.syncState);

async function passes(started: Started, n: number): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(started.outcomes.length).toBe(n);
      expect(await jobs(started)).toBe(0);
    },
    { timeout: 10_000, interval: 5 },
  );
}

/** Number of jobs that wait or run. */
async function jobs({ context: { redis } }: Started): Promise<number> {
  const { client, keys } = redis;
  const lists = ['wait', 'active'].map((list) => client.llen(`${keys.queuePrefix}:sync:${list}`));
  return (await Promise.all(lists)).reduce((sum, n) => sum + n, 0);
}

/** Delays the reply to the next page request until `release`. */
function holdPage(): { reached: Promise<void>; release(): void } {
  let release = () => {};
  const reached = new Promise<void>((resolve) => {
    cc.beforePage = () => {
      cc.beforePage = () => undefined;
      resolve();
      return new Promise<void>((go) => {
        release = go;
      });
    };
  });
  return { reached, release: () => release() };
}

test.each([100, 1_000, 2_000, 5_000, 10_000, 30_000, 3_600_000])(
  'a pass every %i ms comes a tenth of that or 0.2 s late at most, even if its job is lost',
  (periodMs) => {
    expect(checkEveryMs(periodMs)).toBeLessThanOrEqual(Math.max(periodMs / 10, 200));
  },
);

describe('the sync process', () => {
  test('begins with a pass, with credentials requested over NATS', async () => {
    for (let n = 0; n < 10; n++) cc.put(`app-${n}`);
    const started = await start();
    await passes(started, 1);
    expect(started.outcomes).toEqual(['complete']);
    expect(started.requests).toEqual(['']);
    expect((await recordOf(started.context.redis, 'app-9')).desired).toMatch(/^STARTED 1x STAGED/);
  });

  test('waits for the credentials at most bulk_credentials_timeout', async () => {
    const started = await start({ isControllerSilent: true });
    await passes(started, 1);
    expect(started.outcomes).toEqual(['failed']);
    expect((await state(started)).error).toMatch(/10 tries in a row failed.*no reply in time/);
    expect(cc.pageRequests).toBe(0);
  });

  test('runs a pass when one is due, and none before', async () => {
    const started = await start();
    await passes(started, 1);
    clock.advance(59_999);
    await started.sync.check();
    expect(await jobs(started)).toBe(0);
    clock.advance(1);
    await started.sync.check();
    await passes(started, 2);
    expect((await state(started)).begun).toBe(String(clock.nowMs()));
  });

  test('runs the next pass postpone_update after a failed one', async () => {
    const started = await start();
    await passes(started, 1);
    clock.advance(60_000);
    cc.faults.status = { code: 500 };
    await started.sync.check();
    await passes(started, 2);
    expect(started.outcomes).toEqual(['complete', 'failed']);
    delete cc.faults.status;
    clock.advance(29_999);
    await started.sync.check();
    expect(await jobs(started)).toBe(0);
    clock.advance(1);
    await started.sync.check();
    await passes(started, 3);
    expect(started.outcomes[2]).toBe('complete');
  });

  test('waits at most postpone_update between the tries of a page', async () => {
    cc.faults.status = { code: 500 };
    const started = await start({ postponeUpdateMs: 5, firstDelayMs: 60_000 });
    await passes(started, 1);
    expect(started.outcomes).toEqual(['failed']);
    expect(cc.pageRequests).toBe(10);
  });

  test('combines requests: all before a pass into one, and all during it into one more', async () => {
    const started = await start();
    await passes(started, 1);
    const { context } = started;
    const queue = openQueue(context.redis, context.lifecycle, context.log, 'sync');
    const request = () =>
      Promise.all(Array.from({ length: 20 }, () => requestSync(queue, context.redis, clock)));
    const page = holdPage();
    clock.advance(100);
    await request();
    await page.reached;
    clock.advance(100);
    await request();
    await request();
    clock.advance(100);
    await started.sync.check(); // a pass is due, but one is running: adds nothing
    page.release();
    await passes(started, 3);
    expect(Number((await state(started)).begun)).toBeGreaterThan(Number((await state(started)).requested));
  });

  test('runs a requested pass whose job was lost', async () => {
    const started = await start();
    await passes(started, 1);
    const { client, keys } = started.context.redis;
    clock.advance(1000);
    await client.hset(keys.syncState, 'requested', clock.nowMs());
    clock.advance(1);
    await started.sync.check();
    await passes(started, 2);
  });

  test('runs a pass at once when an operator releases a hold', async () => {
    const started = await start();
    await passes(started, 1);
    const { client, keys } = started.context.redis;
    await client.hset(keys.holds, 'release_mass_delete', clock.nowMs());
    await started.sync.check();
    await passes(started, 2);
    expect(await client.hexists(keys.holds, 'release_mass_delete')).toBe(0);
  });

  test('never runs two passes at a time, not even in two copies', async () => {
    let reading = 0;
    let most = 0;
    for (let n = 0; n < 10; n++) cc.put(`app-${n}`);
    cc.beforePage = async () => {
      most = Math.max(most, ++reading);
      await new Promise((resolve) => setImmediate(resolve));
      reading--;
    };
    const both = await Promise.all([start(), start()]);
    const { context } = both[0] as Started;
    const queue = openQueue(context.redis, context.lifecycle, context.log, 'sync');
    const total = () => both.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
    await vi.waitFor(() => expect(total()).toBeGreaterThan(0), { timeout: 10_000, interval: 5 });
    for (let round = 0; round < 20; round++) {
      const before = total();
      clock.advance(1000);
      await requestSync(queue, context.redis, clock);
      await vi.waitFor(() => expect(total()).toBeGreaterThan(before), { timeout: 10_000, interval: 5 });
    }
    expect(both.flatMap(({ outcomes }) => outcomes).every((outcome) => outcome === 'complete')).toBe(true);
    expect(most).toBe(1);
  });

  test('aborts its pass when it stops, and another copy begins the next one at once', async () => {
    const started = await start();
    await passes(started, 1);
    const page = holdPage();
    clock.advance(60_000);
    await started.sync.check();
    await page.reached;
    await started.context.lifecycle.stop();
    expect(started.outcomes[1]).toBe('aborted');
    page.release();
    const other = await start();
    await passes(other, 1);
    expect(other.outcomes).toEqual(['complete']);
    expect((await state(other)).begun).toBe(String(clock.nowMs()));
  });
});
