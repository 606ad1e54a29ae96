import { beforeEach, describe, expect, test } from 'vitest';
import { readSyncState } from '../../../common/redis/fleet/sync-state.ts';
import { metricValue, testContext } from '../../../common/testing/context.ts';
import { ids, testSync, useSync } from '../../../deploy/verify/fixtures/sync.ts';
import { nextPassMs } from '../sync-state.ts';

const fixture = useSync();

describe('a bulk API that', () => {
  beforeEach(async () => {
    fixture.put(10);
    fixture.context.clock.set(1000);
    await fixture.sync.pass();
    // Changes that the faulty pass may not report too early: one droplet gone from page 0, one changed on page 1.
    fixture.cc.delete('app-1');
    fixture.cc.put('app-4', { instances: 5 });
    fixture.context.clock.set(61_000);
  });

  async function expectFailedPass(reason: string, error: RegExp): Promise<void> {
    expect(await fixture.sync.pass()).toBe('failed');
    expect(await fixture.goneIds(ids(10))).toEqual([]);
    const after = await fixture.state();
    expect(after).toMatchObject({ completed: '1000', failed: '61000', begun: '61000' });
    expect(after.error).toMatch(error);
    expect(await metricValue(fixture.context.metrics, 'hm_sync_passes_total', { outcome: 'failed' })).toBe(1);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ level: 40, event: 'sync_failed', reason: `sync ${reason}` }),
    );
    const settings = { syncPeriodMs: 60_000, postponeUpdateMs: 30_000 };
    expect(nextPassMs(await readSyncState(fixture.context.redis), settings)).toBe(91_000);
    expect(JSON.stringify([after, fixture.context.lines])).not.toMatch(/p:ss|cDpz/);
  }

  async function expectRecovery(): Promise<void> {
    for (const fault of Object.keys(fixture.cc.faults) as (keyof typeof fixture.cc.faults)[])
      delete fixture.cc.faults[fault];
    fixture.context.clock.set(91_000);
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await fixture.goneIds(ids(10))).toEqual(['app-1']);
    expect((await fixture.droplet('app-4')).desired?.instances).toBe(5);
    expect((await fixture.state()).error).toBeUndefined();
  }

  const failures = (reason: string) =>
    metricValue(fixture.context.metrics, 'hm_sync_request_failures_total', { reason });

  test('refuses connections fails the pass', async () => {
    await fixture.cc.stop();
    await expectFailedPass('connection', /10 tries in a row failed.*ECONNREFUSED/);
    expect(await failures('connection')).toBe(10);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ level: 40, event: 'bulk_api_failed' }),
    );
    await fixture.cc.listen();
    await expectRecovery();
  });

  test('hangs fails the pass', async () => {
    fixture.cc.faults.hang = true;
    const impatient = await testContext({
      redis: fixture.server,
      settings: { slices: 4 },
      lifecycle: fixture.context.lifecycle,
      clock: fixture.context.clock,
    });
    fixture.sync = testSync(impatient, fixture.cc, { pageTimeoutMs: 20 });
    expect(await fixture.sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/no complete reply within 20 ms/);
    // Counted by the client, because a client that gives up this soon may be gone before the server counts it.
    const tries = await metricValue(impatient.metrics, 'hm_sync_request_failures_total', {
      reason: 'timeout',
    });
    expect(tries).toBe(10);
    expect(await fixture.goneIds(ids(10))).toEqual([]);
    delete fixture.cc.faults.hang;
    fixture.sync = testSync(
      await testContext({
        redis: fixture.server,
        settings: { slices: 4 },
        lifecycle: fixture.context.lifecycle,
        clock: fixture.context.clock,
      }),
      fixture.cc,
    );
    await expectRecovery();
  });

  test('answers one page with status 500 fails the pass', async () => {
    fixture.cc.faults.status = { code: 500, page: 2 };
    await expectFailedPass('status', /status 500/);
    // The pages read before it are stored, but no droplet is marked as gone.
    expect((await fixture.droplet('app-4')).desired?.instances).toBe(5);
    expect(await fixture.context.redis.client.smembers(fixture.context.redis.keys.syncMissing)).toContain(
      'app-1',
    );
    expect(await failures('status')).toBe(10);
    await expectRecovery();
  });

  test('fails nine times in a row does not fail the pass', async () => {
    let fails = 9;
    fixture.cc.faults.status = { code: 503, page: 1 };
    fixture.cc.beforePage = (page) => {
      if (page === 1 && --fails < 0) delete fixture.cc.faults.status;
    };
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await failures('status')).toBe(9);
  });

  test('redirects fails the pass', async () => {
    fixture.cc.faults.status = { code: 302 };
    await expectFailedPass('status', /status 302/);
    expect(fixture.cc.pageRequests).toBe(5 + 10);
    await expectRecovery();
  });

  test('refuses the credentials once makes the pass request new ones', async () => {
    fixture.cc.faults.unauthorized = 1;
    expect(await fixture.sync.pass()).toBe('complete');
    expect(fixture.sync.credentialRequests()).toBe(2);
    expect(await failures('unauthorized')).toBe(1);
  });

  test('always refuses the credentials fails the pass', async () => {
    fixture.cc.faults.unauthorized = 1e9;
    await expectFailedPass('unauthorized', /status 401/);
    expect(fixture.sync.credentialRequests()).toBe(10); // the first ones were cached
    await expectRecovery();
  });

  test.each(['cutOff', 'breakOff'] as const)(
    'does not complete its reply fails the pass (%s)',
    async (fault) => {
      fixture.cc.faults[fault] = true;
      const reason = fault === 'cutOff' ? 'page' : 'connection';
      await expectFailedPass(reason, /10 tries in a row failed/);
      expect(await failures(reason)).toBe(10);
      await expectRecovery();
    },
  );

  test('sends an oversized page fails the pass after one request', async () => {
    const small = testSync(
      await testContext({
        redis: fixture.server,
        settings: { slices: 4 },
        lifecycle: fixture.context.lifecycle,
        clock: fixture.context.clock,
      }),
      fixture.cc,
      {
        maxBodyBytes: 20_000,
      },
    );
    fixture.cc.faults.padding = 30_000;
    const before = fixture.cc.pageRequests;
    expect(await small.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/body larger than 20000 bytes/);
    expect(fixture.cc.pageRequests - before).toBe(1);
    expect(await fixture.goneIds(ids(10))).toEqual([]);
    await expectRecovery();
  });

  test('repeats a token fails the pass', async () => {
    fixture.cc.faults.repeatFirstToken = true;
    await expectFailedPass('token', /the token does not advance/);
    await expectRecovery();
  });

  test('does not give its credentials fails the pass', async () => {
    fixture.cc.faults.unauthorized = 1;
    const credentials = fixture.cc.credentials;
    fixture.cc.credentials = () => {
      throw new Error('no subscriber');
    };
    await expectFailedPass('credentials', /did not answer: no subscriber/);
    fixture.cc.credentials = credentials;
    await expectRecovery();
  });

  test('has no user count does not fail the pass', async () => {
    fixture.cc.beforePage = () => {
      fixture.cc.users = Number.NaN;
    };
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await fixture.state()).toMatchObject({ completed: '61000', users: '42' });
  });
});
