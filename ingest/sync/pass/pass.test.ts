import { describe, expect, test } from 'vitest';
import { readSyncState } from '../../../common/redis/fleet/sync-state.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { metricValue, recordOf, testContext } from '../../../common/testing/context.ts';
import { countCalls, ids, testSync, useSync } from '../../../deploy/verify/fixtures/sync.ts';
import { nextPassMs } from '../sync-state.ts';

const fixture = useSync();

describe('a pass', () => {
  test('stores the desired state of all droplets', async () => {
    fixture.put(10);
    fixture.cc.put('app-3', {
      instances: 4,
      state: 'STOPPED',
      package_state: 'PENDING',
      version: 'v 9',
      memory: 512,
      updated_at: '2014-04-15 15:14:56 +0800',
    });
    fixture.context.clock.set(5000);
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.droplet('app-3')).desired).toEqual({
      instances: 4,
      state: 'STOPPED',
      packageState: 'PENDING',
      version: 'v 9',
      memoryMb: 512,
      updatedAtS: Date.UTC(2014, 3, 15, 7, 14, 56) / 1000,
    });
    for (const id of ids(10)) expect((await fixture.droplet(id)).firstSeenMs).toBe(5000);
    expect(
      await fixture.context.redis.client.zcard(
        fixture.context.redis.keys.due(fixture.context.redis.keys.sliceOf('app-0')),
      ),
    ).toBeGreaterThan(0);
    expect(await fixture.state()).toMatchObject({
      begun: '5000',
      completed: '5000',
      succeeded: '5000',
      last_reply: '5000',
      listed: '10',
      pages: '4',
      changed: '10',
      users: '42',
    });
    expect((await readFleetFacts(fixture.context.redis)).pass).toEqual({ begunMs: 5000, succeededMs: 5000 });
  });

  test('writes nothing for unchanged pages', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    const before = await recordOf(fixture.context.redis, 'app-1');
    const [desired, stored] = [countCalls(fixture, 'store_desired'), countCalls(fixture, 'store_pages')];
    fixture.context.clock.advance(60_000);
    expect(await fixture.sync.pass()).toBe('complete');
    expect([desired(), stored()]).toEqual([0, 0]);
    expect(await recordOf(fixture.context.redis, 'app-1')).toEqual(before);
    expect(await fixture.state()).toMatchObject({ listed: '10', pages: '4', changed: '0' });
    expect(await metricValue(fixture.context.metrics, 'hm_sync_pages_total', { kind: 'equal' })).toBe(4);
  });

  test('writes only the droplets that changed', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    fixture.cc.put('app-4', { instances: 7 });
    const desired = countCalls(fixture, 'store_desired');
    await fixture.sync.pass();
    expect(desired()).toBe(1);
    expect((await fixture.droplet('app-4')).desired?.instances).toBe(7);
    expect((await fixture.droplet('app-3')).rev).toBe(1);
    expect(await fixture.state()).toMatchObject({ listed: '10', changed: '1' });
  });

  test('accepts ids that are property names of objects, or numbers', async () => {
    const odd = ['__proto__', 'constructor', '17', '5', 'ü 1', 'toString'];
    for (const id of odd) fixture.cc.put(id);
    await fixture.sync.pass();
    fixture.cc.delete('5');
    await fixture.sync.pass();
    for (const id of odd) expect((await fixture.droplet(id)).desired?.version).toBe(`${id}-v1`);
    expect(await fixture.goneIds(odd)).toEqual(['5']);
  });

  test('returns a token unchanged, whatever characters it contains', async () => {
    fixture.put(1);
    const token = JSON.stringify({ id: 0, page: 0, more: 'a&b=c#d%20 +\u00e9"' });
    const page = await fixture.sync.deps.api.page(token, new AbortController().signal);
    expect(JSON.parse(page.toString()).results).toHaveProperty('app-0');
  });

  test('requests pages below the path of bulk_api.host', async () => {
    fixture.put(1);
    const elsewhere = testSync(
      await testContext({
        redis: fixture.server,
        settings: { slices: 4 },
        lifecycle: fixture.context.lifecycle,
      }),
      fixture.cc,
      {
        host: `${fixture.cc.host}/v1/`,
      },
    );
    expect(await elsewhere.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/status 404/);
  });
});

describe('droplets that are gone', () => {
  test('are marked with the end time of the first pass that did not list them', async () => {
    fixture.put(10);
    fixture.context.clock.set(1000);
    await fixture.sync.pass();
    fixture.context.clock.set(61_000);
    await fixture.sync.pass();
    fixture.cc.delete('app-4');
    fixture.context.clock.set(121_000);
    await fixture.sync.pass();
    fixture.context.clock.set(181_000);
    await fixture.sync.pass();
    expect(await fixture.droplet('app-4')).toMatchObject({ goneMs: 121_000, rev: 2 });
    expect(await fixture.goneIds(ids(10))).toEqual(['app-4']);
    expect((await fixture.state()).listed).toBe('9');
  });

  test('are no longer marked when they are listed again', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    fixture.cc.delete('app-4');
    await fixture.sync.pass();
    fixture.cc.put('app-4');
    await fixture.sync.pass();
    expect(await fixture.goneIds(ids(10))).toEqual([]);
  });

  test('are found when whole pages no longer exist', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    for (const id of ids(10).slice(2)) fixture.cc.delete(id);
    await fixture.sync.pass();
    expect(await fixture.goneIds(ids(10))).toEqual(ids(10).slice(2));
    expect(await fixture.context.redis.client.exists(fixture.context.redis.keys.syncPage(1))).toBe(0);
    expect(await fixture.context.redis.client.exists(fixture.context.redis.keys.syncMissing)).toBe(0);
  });

  test('do not include a droplet that moved to another page', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    fixture.cc.move('app-0');
    fixture.cc.put('new');
    const gone = countCalls(fixture, 'mark_gone');
    await fixture.sync.pass();
    expect(await fixture.goneIds([...ids(10), 'new'])).toEqual([]);
    expect(gone()).toBe(0);
    expect(await fixture.context.redis.client.exists(fixture.context.redis.keys.syncMissing)).toBe(0);
  });
});

describe('pages that shift while they are read', () => {
  test('a droplet that one pass missed is listed by the next', async () => {
    fixture.cc.faults.pagesByCount = true;
    fixture.put(10);
    await fixture.sync.pass();
    fixture.cc.beforePage = (page) => {
      if (page === 1) fixture.cc.delete('app-0');
    };
    await fixture.sync.pass(); // app-3 moved to the first page after that page had been read
    expect(await fixture.goneIds(ids(10))).toEqual(['app-3']);
    await fixture.sync.pass();
    expect(await fixture.goneIds(ids(10))).toEqual(['app-0']);
  });

  test('a droplet that is listed twice counts once', async () => {
    fixture.cc.faults.pagesByCount = true;
    fixture.put(7);
    await fixture.sync.pass();
    fixture.cc.beforePage = (page) => {
      if (page !== 1) return;
      // Inserted at the front: all others move by one.
      const rest = ids(7).slice(1);
      fixture.cc.clear();
      fixture.cc.put('first');
      for (const id of ['app-0', ...rest]) fixture.cc.put(id);
      fixture.cc.beforePage = () => undefined;
    };
    await fixture.sync.pass();
    await fixture.sync.pass();
    expect(await fixture.goneIds([...ids(7), 'first'])).toEqual([]);
    expect((await fixture.state()).listed).toBe('8');
  });
});

describe('an aborted pass', () => {
  test('is neither complete nor failed, and the next pass is due at once', async () => {
    fixture.put(10);
    fixture.context.clock.set(4000);
    const stop = new AbortController();
    fixture.cc.beforePage = (page) => {
      if (page === 2) stop.abort();
    };
    expect(await fixture.sync.pass(stop.signal)).toBe('aborted');
    const after = await fixture.state();
    expect(after).toMatchObject({ begun: '4000', aborted: '4000' });
    expect([after.completed, after.failed]).toEqual([undefined, undefined]);
    expect(nextPassMs(await readSyncState(fixture.context.redis), fixture.context.settings)).toBe(4000);
  });
});
