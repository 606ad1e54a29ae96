import { describe, expect, test } from 'vitest';
import { detectFailover } from '../../../common/redis/scripts/fleet/detect-failover.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { ids, useSync } from '../../../deploy/verify/fixtures/sync.ts';

const fixture = useSync();

describe('after Redis has lost', () => {
  async function deleteKeys(tag: string): Promise<void> {
    const { client } = fixture.context.redis;
    const all = await client.keys(`hm:{${tag}}:*`);
    expect(all.length).toBeGreaterThan(0);
    await client.del(...all);
  }

  test('all data, the next pass writes every droplet', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    await fixture.context.redis.client.flushall();
    await fixture.sync.pass();
    for (const id of ids(10)) expect((await fixture.droplet(id)).desired?.instances).toBe(1);
  });

  test('all data during a pass, that pass does not complete', async () => {
    fixture.put(10);
    fixture.cc.beforePage = async (page) => {
      if (page === 2) await fixture.context.redis.client.flushall();
    };
    expect(await fixture.sync.pass()).toBe('superseded');
    expect((await readFleetFacts(fixture.context.redis)).pass).toBeUndefined();
    fixture.cc.beforePage = () => undefined;
    expect(await fixture.sync.pass()).toBe('complete');
    for (const id of ids(10)) expect((await fixture.droplet(id)).desired?.instances).toBe(1);
  });

  test('some slices, the next complete pass writes their droplets', async () => {
    fixture.put(40);
    await fixture.sync.pass();
    await deleteKeys('2');
    fixture.cc.faults.status = { code: 500, page: 3 };
    expect(await fixture.sync.pass()).toBe('failed');
    delete fixture.cc.faults.status;
    expect(await fixture.sync.pass()).toBe('complete');
    for (const id of ids(40)) expect((await fixture.droplet(id)).desired?.instances).toBe(1);
    expect((await fixture.state()).rewrite).toBeUndefined();
  });

  test('the latest writes of a slice in a failover, the next pass writes them again', async () => {
    const { client, keys } = fixture.context.redis;
    const masters = (...replicationIds: string[]) =>
      detectFailover(fixture.context.redis, { replicationIds });
    await masters('a', 'b');
    fixture.put(10);
    await fixture.sync.pass();
    await client.hset(keys.droplet('app-3'), 'desired', 'STOPPED 7x STAGED version old 1M updated 1');
    await fixture.sync.pass();
    expect((await fixture.droplet('app-3')).desired?.instances).toBe(7); // its page is unchanged, so its record is not rewritten
    await masters('a', 'B');
    expect((await readFleetFacts(fixture.context.redis)).desiredStateSuspect).toBe(true);
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.droplet('app-3')).desired?.instances).toBe(1);
    expect((await readFleetFacts(fixture.context.redis)).desiredStateSuspect).toBeUndefined();
  });

  test.each(['all pages', 'all pages and the index', 'one page'])(
    '%s, a droplet that is no longer listed is found',
    async (what) => {
      fixture.put(40);
      await fixture.sync.pass();
      const { client, keys } = fixture.context.redis;
      if (what.includes('index')) await client.hdel(keys.indexOf('app-4'), 'app-4');
      if (what.startsWith('all pages')) await deleteKeys('sync');
      else
        await fixture.context.redis.client.hset(
          fixture.context.redis.keys.syncPage(1),
          'entries',
          'no such thing',
        );
      fixture.cc.delete('app-4');
      expect(await fixture.sync.pass()).toBe('complete');
      expect(await fixture.goneIds(ids(40))).toEqual(['app-4']);
    },
  );
});
