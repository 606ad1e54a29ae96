import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import { readHolds } from '../../../common/redis/holds.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/read-droplets.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { metricValue, recordOf, type TestContext, testContext } from '../../../common/testing/context.ts';
import { startTestRedis, type TestRedis } from '../../../common/testing/redis.ts';
import { type TestSync, testSync } from '../../../deploy/verify/fixtures/sync.ts';
import { SimulatedController } from '../../../deploy/verify/sim/controller.ts';
import { SupersededError } from '../errors.ts';
import { nextPassMs, readSyncState } from '../sync-state.ts';
import { FencedWriter } from './fenced-writer.ts';

let server: TestRedis;
let cc: SimulatedController;
let context: TestContext;
let sync: TestSync;

beforeAll(async () => {
  server = await startTestRedis();
});
afterAll(() => server.stop());

beforeEach(async () => {
  cc = await SimulatedController.start();
  context = await testContext({ redis: server, settings: { slices: 4 } });
  sync = testSync(context, cc);
});
afterEach(async () => {
  await context.redis.client.flushall();
  await context.lifecycle.stop();
  await cc.stop();
});

const ids = (n: number) => Array.from({ length: n }, (_, i) => `app-${i}`);

function put(n: number): void {
  for (const id of ids(n)) cc.put(id);
}

const state = () => context.redis.client.hgetall(context.redis.keys.syncState);

async function droplet(id: string): Promise<Droplet> {
  const [found] = await readDroplets(context.redis, [id]);
  if (found === undefined || found instanceof Error) throw new Error(`no droplet ${id}: ${found}`);
  return found;
}

async function goneIds(all: string[]): Promise<string[]> {
  const found = await readDroplets(context.redis, all);
  return all.filter((_, at) => (found[at] as Droplet | undefined)?.goneMs !== undefined);
}

/** Counts the calls of a script from now on. */
function calls(name: 'storeDesired' | 'markGone' | 'storePages'): () => number {
  const { scripts } = context.redis;
  const run = scripts[name];
  let count = 0;
  scripts[name] = (keys, args) => {
    count++;
    return run(keys, args);
  };
  return () => count;
}

describe('a pass', () => {
  test('stores the desired state of all droplets', async () => {
    put(10);
    cc.put('app-3', {
      instances: 4,
      state: 'STOPPED',
      package_state: 'PENDING',
      version: 'v 9',
      memory: 512,
      updated_at: '2014-04-15 15:14:56 +0800',
    });
    context.clock.set(5000);
    expect(await sync.pass()).toBe('complete');
    expect((await droplet('app-3')).desired).toEqual({
      instances: 4,
      state: 'STOPPED',
      packageState: 'PENDING',
      version: 'v 9',
      memoryMb: 512,
      updatedAtS: Date.UTC(2014, 3, 15, 7, 14, 56) / 1000,
    });
    for (const id of ids(10)) expect((await droplet(id)).firstSeenMs).toBe(5000);
    expect(
      await context.redis.client.zcard(context.redis.keys.due(context.redis.keys.sliceOf('app-0'))),
    ).toBeGreaterThan(0);
    expect(await state()).toMatchObject({
      begun: '5000',
      completed: '5000',
      succeeded: '5000',
      last_reply: '5000',
      listed: '10',
      pages: '4',
      changed: '10',
      users: '42',
    });
    expect((await readFleetFacts(context.redis)).pass).toEqual({ begunMs: 5000, succeededMs: 5000 });
  });

  test('writes nothing for pages that are as they were', async () => {
    put(10);
    await sync.pass();
    const before = await recordOf(context.redis, 'app-1');
    const [desired, stored] = [calls('storeDesired'), calls('storePages')];
    context.clock.advance(60_000);
    expect(await sync.pass()).toBe('complete');
    expect([desired(), stored()]).toEqual([0, 0]);
    expect(await recordOf(context.redis, 'app-1')).toEqual(before);
    expect(await state()).toMatchObject({ listed: '10', pages: '4', changed: '0' });
    expect(await metricValue(context.metrics, 'hm_sync_pages_total', { kind: 'equal' })).toBe(4);
  });

  test('writes only what changed', async () => {
    put(10);
    await sync.pass();
    cc.put('app-4', { instances: 7 });
    const desired = calls('storeDesired');
    await sync.pass();
    expect(desired()).toBe(1);
    expect((await droplet('app-4')).desired?.instances).toBe(7);
    expect((await droplet('app-3')).rev).toBe(1);
    expect(await state()).toMatchObject({ listed: '10', changed: '1' });
  });

  test('ids that are names of an object or numbers are ids like others', async () => {
    const odd = ['__proto__', 'constructor', '17', '5', 'ü 1', 'toString'];
    for (const id of odd) cc.put(id);
    await sync.pass();
    cc.delete('5');
    await sync.pass();
    for (const id of odd) expect((await droplet(id)).desired?.version).toBe(`${id}-v1`);
    expect(await goneIds(odd)).toEqual(['5']);
  });

  test('a token is given back as it came, whatever is in it', async () => {
    put(1);
    const token = JSON.stringify({ id: 0, page: 0, more: 'a&b=c#d%20 +\u00e9"' });
    const page = await sync.deps.api.page(token, new AbortController().signal);
    expect(JSON.parse(page.toString()).results).toHaveProperty('app-0');
  });

  test('the API may be below a path', async () => {
    put(1);
    const elsewhere = testSync(
      await testContext({ redis: server, settings: { slices: 4 }, lifecycle: context.lifecycle }),
      cc,
      {
        host: `${cc.host}/v1/`,
      },
    );
    expect(await elsewhere.pass()).toBe('failed');
    expect((await state()).error).toMatch(/status 404/);
  });
});

describe('droplets that are gone', () => {
  test('are marked with the end of the first pass that did not list them', async () => {
    put(10);
    context.clock.set(1000);
    await sync.pass();
    context.clock.set(61_000);
    await sync.pass();
    cc.delete('app-4');
    context.clock.set(121_000);
    await sync.pass();
    context.clock.set(181_000);
    await sync.pass();
    expect(await droplet('app-4')).toMatchObject({ goneMs: 121_000, rev: 2 });
    expect(await goneIds(ids(10))).toEqual(['app-4']);
    expect((await state()).listed).toBe('9');
  });

  test('are no longer marked when they are listed again', async () => {
    put(10);
    await sync.pass();
    cc.delete('app-4');
    await sync.pass();
    cc.put('app-4');
    await sync.pass();
    expect(await goneIds(ids(10))).toEqual([]);
  });

  test('are found also when whole pages are no more', async () => {
    put(10);
    await sync.pass();
    for (const id of ids(10).slice(2)) cc.delete(id);
    await sync.pass();
    expect(await goneIds(ids(10))).toEqual(ids(10).slice(2));
    expect(await context.redis.client.exists(context.redis.keys.syncPage(1))).toBe(0);
    expect(await context.redis.client.exists(context.redis.keys.syncMissing)).toBe(0);
  });

  test('moving to another page is not being gone', async () => {
    put(10);
    await sync.pass();
    cc.move('app-0');
    cc.put('new');
    const gone = calls('markGone');
    await sync.pass();
    expect(await goneIds([...ids(10), 'new'])).toEqual([]);
    expect(gone()).toBe(0);
    expect(await context.redis.client.exists(context.redis.keys.syncMissing)).toBe(0);
  });
});

describe('when the bulk API', () => {
  beforeEach(async () => {
    put(10);
    context.clock.set(1000);
    await sync.pass();
    // What the pass with the fault must not take for granted: gone from page 0, changed on page 1.
    cc.delete('app-1');
    cc.put('app-4', { instances: 5 });
    context.clock.set(61_000);
  });

  async function failedPass(reason: string, error: RegExp): Promise<void> {
    expect(await sync.pass()).toBe('failed');
    expect(await goneIds(ids(10))).toEqual([]);
    const after = await state();
    expect(after).toMatchObject({ completed: '1000', failed: '61000', begun: '61000' });
    expect(after.error).toMatch(error);
    expect(await metricValue(context.metrics, 'hm_sync_passes_total', { outcome: 'failed' })).toBe(1);
    expect(context.lines).toContainEqual(
      expect.objectContaining({ level: 40, event: 'sync_failed', reason: `sync ${reason}` }),
    );
    const settings = { syncPeriodMs: 60_000, postponeUpdateMs: 30_000 };
    expect(nextPassMs(await readSyncState(context.redis), settings)).toBe(91_000);
    expect(JSON.stringify([after, context.lines])).not.toMatch(/p:ss|cDpz/);
  }

  async function heals(): Promise<void> {
    for (const fault of Object.keys(cc.faults) as (keyof typeof cc.faults)[]) delete cc.faults[fault];
    context.clock.set(91_000);
    expect(await sync.pass()).toBe('complete');
    expect(await goneIds(ids(10))).toEqual(['app-1']);
    expect((await droplet('app-4')).desired?.instances).toBe(5);
    expect((await state()).error).toBeUndefined();
  }

  const failures = (reason: string) =>
    metricValue(context.metrics, 'hm_sync_request_failures_total', { reason });

  test('refuses connections', async () => {
    await cc.stop();
    await failedPass('connection', /10 tries in a row failed.*ECONNREFUSED/);
    expect(await failures('connection')).toBe(10);
    expect(context.lines).toContainEqual(expect.objectContaining({ level: 40, event: 'bulk_api_failed' }));
    await cc.listen();
    await heals();
  });

  test('hangs', async () => {
    cc.faults.hang = true;
    const hurried = await testContext({
      redis: server,
      settings: { slices: 4 },
      lifecycle: context.lifecycle,
      clock: context.clock,
    });
    sync = testSync(hurried, cc, { pageTimeoutMs: 20 });
    expect(await sync.pass()).toBe('failed');
    expect((await state()).error).toMatch(/no complete reply within 20 ms/);
    // By who asks: one that gives up so soon may be gone before it is served.
    const tries = await metricValue(hurried.metrics, 'hm_sync_request_failures_total', { reason: 'timeout' });
    expect(tries).toBe(10);
    expect(await goneIds(ids(10))).toEqual([]);
    delete cc.faults.hang;
    sync = testSync(
      await testContext({
        redis: server,
        settings: { slices: 4 },
        lifecycle: context.lifecycle,
        clock: context.clock,
      }),
      cc,
    );
    await heals();
  });

  test('answers with 500 on one page only', async () => {
    cc.faults.status = { code: 500, page: 2 };
    await failedPass('status', /status 500/);
    // What was read counts, only nobody is gone.
    expect((await droplet('app-4')).desired?.instances).toBe(5);
    expect(await context.redis.client.smembers(context.redis.keys.syncMissing)).toContain('app-1');
    expect(await failures('status')).toBe(10);
    await heals();
  });

  test('fails now and then', async () => {
    let fails = 9;
    cc.faults.status = { code: 503, page: 1 };
    cc.beforePage = (page) => {
      if (page === 1 && --fails < 0) delete cc.faults.status;
    };
    expect(await sync.pass()).toBe('complete');
    expect(await failures('status')).toBe(9);
  });

  test('redirects', async () => {
    cc.faults.status = { code: 302 };
    await failedPass('status', /status 302/);
    expect(cc.pageRequests).toBe(5 + 10);
    await heals();
  });

  test('does not accept the credentials once', async () => {
    cc.faults.unauthorized = 1;
    expect(await sync.pass()).toBe('complete');
    expect(sync.asked()).toBe(2);
    expect(await failures('unauthorized')).toBe(1);
  });

  test('never accepts the credentials', async () => {
    cc.faults.unauthorized = 1e9;
    await failedPass('unauthorized', /status 401/);
    expect(sync.asked()).toBe(10); // the first were known already
    await heals();
  });

  test.each(['cutOff', 'breakOff'] as const)('does not end its reply (%s)', async (fault) => {
    cc.faults[fault] = true;
    const reason = fault === 'cutOff' ? 'page' : 'connection';
    await failedPass(reason, /10 tries in a row failed/);
    expect(await failures(reason)).toBe(10);
    await heals();
  });

  test('sends a huge page', async () => {
    const small = testSync(
      await testContext({
        redis: server,
        settings: { slices: 4 },
        lifecycle: context.lifecycle,
        clock: context.clock,
      }),
      cc,
      {
        maxBodyBytes: 20_000,
      },
    );
    cc.faults.padding = 30_000;
    const before = cc.pageRequests;
    expect(await small.pass()).toBe('failed');
    expect((await state()).error).toMatch(/body larger than 20000 bytes/);
    expect(cc.pageRequests - before).toBe(1);
    expect(await goneIds(ids(10))).toEqual([]);
    await heals();
  });

  test('gives the same token for ever', async () => {
    cc.faults.repeatFirstToken = true;
    await failedPass('token', /the token does not advance/);
    await heals();
  });

  test('is not known: nobody tells the credentials', async () => {
    cc.faults.unauthorized = 1;
    const told = cc.credentials;
    cc.credentials = () => {
      throw new Error('nobody is subscribed');
    };
    await failedPass('credentials', /did not answer: nobody is subscribed/);
    cc.credentials = told;
    await heals();
  });

  test('has no count of users', async () => {
    cc.beforePage = () => {
      cc.users = Number.NaN;
    };
    expect(await sync.pass()).toBe('complete');
    expect(await state()).toMatchObject({ completed: '61000', users: '42' });
  });
});

describe('bad entries', () => {
  const bad: [string, Record<string, unknown>][] = [
    ['state', { state: 'RUNNING' }],
    ['state', { state: undefined }],
    ['instances', { instances: '3' }],
    ['instances', { instances: -1 }],
    ['version', { version: null }],
    ['package_state', { package_state: 'staged' }],
    ['updated_at', { updated_at: 'yesterday' }],
  ];

  test.each(bad)('of %s: the others count, the last good record stays', async (reason, entry) => {
    put(4);
    await sync.pass();
    cc.put('app-1', { ...entry, memory: 1024 });
    cc.put('app-2', { instances: 3 });
    expect(await sync.pass()).toBe('complete');
    expect((await droplet('app-2')).desired?.instances).toBe(3);
    expect(await droplet('app-1')).toMatchObject({ desired: { instances: 1, memoryMb: 256 } });
    expect(await goneIds(ids(4))).toEqual([]);
    expect(await state()).toMatchObject({ listed: '4', rejected: '1' });
    expect(await metricValue(context.metrics, 'hm_sync_entries_rejected_total', { reason })).toBe(1);
    expect(context.lines).toContainEqual(
      expect.objectContaining({ event: 'bulk_entry_rejected', droplet: 'app-1' }),
    );
    cc.put('app-1', { memory: 1024 });
    await sync.pass();
    expect((await droplet('app-1')).desired?.memoryMb).toBe(1024);
  });

  test('a droplet that was never read well is listed all the same', async () => {
    cc.put('bad', { state: 17 });
    context.clock.set(7000);
    await sync.pass();
    const found = await droplet('bad');
    expect(found.listedMs).toBe(7000);
    expect(found.desired).toBeUndefined();
    cc.delete('bad');
    await sync.pass();
    expect(await goneIds(['bad'])).toEqual(['bad']);
  });

  test('a droplet that was gone is not, when a bad entry lists it', async () => {
    put(4);
    await sync.pass();
    cc.delete('app-1');
    await sync.pass();
    cc.put('app-1', { state: 17 });
    await sync.pass();
    expect(await goneIds(ids(4))).toEqual([]);
  });

  test('an id that no droplet can have is not listed', async () => {
    put(2);
    cc.put('x'.repeat(300));
    expect(await sync.pass()).toBe('complete');
    expect(await state()).toMatchObject({ listed: '2', rejected: '1' });
  });
});

describe('pages that shift while they are read', () => {
  test('a droplet that was missed is listed by the next pass', async () => {
    cc.faults.pagesByCount = true;
    put(10);
    await sync.pass();
    cc.beforePage = (page) => {
      if (page === 1) cc.delete('app-0');
    };
    await sync.pass(); // app-3 moved to the first page when that had been read
    expect(await goneIds(ids(10))).toEqual(['app-3']);
    await sync.pass();
    expect(await goneIds(ids(10))).toEqual(['app-0']);
  });

  test('a droplet that is listed twice is one', async () => {
    cc.faults.pagesByCount = true;
    put(7);
    await sync.pass();
    cc.beforePage = (page) => {
      if (page !== 1) return;
      // To the front: all others move on by one.
      const rest = ids(7).slice(1);
      cc.clear();
      cc.put('first');
      for (const id of ['app-0', ...rest]) cc.put(id);
      cc.beforePage = () => undefined;
    };
    await sync.pass();
    await sync.pass();
    expect(await goneIds([...ids(7), 'first'])).toEqual([]);
    expect((await state()).listed).toBe('8');
  });
});

describe('mass_delete', () => {
  const massDelete = async () =>
    (await readHolds(context.redis, context.clock, context.settings.policy)).massDelete;

  test('an empty cloud raises it; it ends when the droplets are listed again', async () => {
    put(20);
    await sync.pass();
    cc.clear();
    expect(await sync.pass()).toBe('complete');
    expect(await massDelete()).toBe(true);
    expect(await goneIds(ids(20))).toEqual(ids(20));
    expect(context.lines).toContainEqual(
      expect.objectContaining({ event: 'hold_on', hold: 'mass_delete', accepted: 20 }),
    );
    await sync.pass();
    expect(await massDelete()).toBe(true);
    put(20);
    await sync.pass();
    expect(await massDelete()).toBe(false);
    expect(await goneIds(ids(20))).toEqual([]);
  });

  test('a few deleted droplets do not', async () => {
    put(20);
    await sync.pass();
    for (const id of ids(9)) cc.delete(id);
    await sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test('it ends after its time, and what is listed then is accepted', async () => {
    put(20);
    await sync.pass();
    for (const id of ids(15)) cc.delete(id);
    await sync.pass();
    expect(await massDelete()).toBe(true);
    context.clock.advance(3_600_000);
    expect(await massDelete()).toBe(false);
    await sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test('an operator releases it', async () => {
    put(20);
    await sync.pass();
    for (const id of ids(15)) cc.delete(id);
    await sync.pass();
    const { client, keys } = context.redis;
    await client.hset(keys.holds, 'release_mass_delete', context.clock.nowMs());
    await sync.pass();
    expect(await massDelete()).toBe(false);
    expect(await client.hexists(keys.holds, 'release_mass_delete')).toBe(0);
    await sync.pass();
    expect(await massDelete()).toBe(false);
  });
});

describe('two passes', () => {
  test('an older one that wakes up writes nothing', async () => {
    put(10);
    await sync.pass();
    cc.put('app-1', { instances: 2 });
    cc.delete('app-8');
    let wake = () => {};
    const asleep = new Promise<void>((resolve) => {
      cc.beforePage = (page) => {
        if (page !== 3) return undefined;
        resolve();
        return new Promise<void>((go) => {
          wake = go;
        });
      };
    });
    const older = sync.pass();
    await asleep;
    cc.beforePage = () => undefined;
    cc.put('app-1', { instances: 3 });
    cc.put('app-8');
    expect(await sync.pass()).toBe('complete');
    cc.put('app-1', { instances: 4 });
    const after = await state();
    wake();
    expect(await older).toBe('superseded');
    expect(await state()).toEqual(after);
    expect((await droplet('app-1')).desired?.instances).toBe(3);
    expect(await goneIds(ids(10))).toEqual([]);
  });

  test('writes of an older one that come late are refused, wherever they go', async () => {
    put(10);
    const older = await FencedWriter.begin(context.redis, context.clock, 'older');
    await older.fence(async () => undefined);
    await sync.pass();
    const before = await recordOf(context.redis, 'app-1');
    await expect(older.storeDesired(new Map([['app-1', 'x']]))).rejects.toThrow(SupersededError);
    await expect(older.markGone(['app-1'], 1)).rejects.toThrow(SupersededError);
    await expect(older.report({ completed: 1 })).rejects.toThrow(SupersededError);
    await expect(older.fence(async () => undefined)).rejects.toThrow(SupersededError);
    expect(await recordOf(context.redis, 'app-1')).toEqual(before);
  });

  test('one that is broken off is neither complete nor failed, and the next is due at once', async () => {
    put(10);
    context.clock.set(4000);
    const stop = new AbortController();
    cc.beforePage = (page) => {
      if (page === 2) stop.abort();
    };
    expect(await sync.pass(stop.signal)).toBe('aborted');
    const after = await state();
    expect(after).toMatchObject({ begun: '4000', aborted: '4000' });
    expect([after.completed, after.failed]).toEqual([undefined, undefined]);
    expect(nextPassMs(await readSyncState(context.redis), context.settings)).toBe(4000);
  });
});

describe('after a loss in Redis', () => {
  async function drop(tag: string): Promise<void> {
    const { client } = context.redis;
    const all = await client.keys(`hm:{${tag}}:*`);
    expect(all.length).toBeGreaterThan(0);
    await client.del(...all);
  }

  test('of everything, the next pass writes everything', async () => {
    put(10);
    await sync.pass();
    await context.redis.client.flushall();
    await sync.pass();
    for (const id of ids(10)) expect((await droplet(id)).desired?.instances).toBe(1);
  });

  test('of everything in the middle of a pass, that pass does not complete', async () => {
    put(10);
    cc.beforePage = async (page) => {
      if (page === 2) await context.redis.client.flushall();
    };
    expect(await sync.pass()).toBe('superseded');
    expect((await readFleetFacts(context.redis)).pass).toBeUndefined();
    cc.beforePage = () => undefined;
    expect(await sync.pass()).toBe('complete');
    for (const id of ids(10)) expect((await droplet(id)).desired?.instances).toBe(1);
  });

  test('of some slices, the next complete pass writes what was there', async () => {
    put(40);
    await sync.pass();
    await drop('2');
    cc.faults.status = { code: 500, page: 3 };
    expect(await sync.pass()).toBe('failed');
    delete cc.faults.status;
    expect(await sync.pass()).toBe('complete');
    for (const id of ids(40)) expect((await droplet(id)).desired?.instances).toBe(1);
    expect((await state()).rewrite).toBeUndefined();
  });

  test('of the last writes of a slice, the pass after a node took over writes them once more', async () => {
    const { client, scripts, keys } = context.redis;
    const masters = (...ids: string[]) =>
      scripts.detectFailover([keys.failover, keys.listening, keys.deasDigest, keys.syncState], ids);
    await masters('a', 'b');
    put(10);
    await sync.pass();
    await client.hset(keys.droplet('app-3'), 'desired', 'STOPPED 7x STAGED version old 1M updated 1');
    await sync.pass();
    expect((await droplet('app-3')).desired?.instances).toBe(7); // its page is as it was
    await masters('a', 'B');
    expect((await readFleetFacts(context.redis)).desiredStateSuspect).toBe(true);
    expect(await sync.pass()).toBe('complete');
    expect((await droplet('app-3')).desired?.instances).toBe(1);
    expect((await readFleetFacts(context.redis)).desiredStateSuspect).toBeUndefined();
  });

  test.each(['all pages', 'one page'])(
    'of %s, droplets that are listed no more are found all the same',
    async (what) => {
      put(40);
      await sync.pass();
      if (what === 'all pages') await drop('sync');
      else await context.redis.client.hset(context.redis.keys.syncPage(1), 'entries', 'no such thing');
      cc.delete('app-4');
      expect(await sync.pass()).toBe('complete');
      expect(await goneIds(ids(40))).toEqual(['app-4']);
    },
  );
});
