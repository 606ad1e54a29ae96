import { describe, expect, test } from 'vitest';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { ids, useSync } from '../../../../deploy/verify/fixtures/sync.ts';

const fixture = useSync();

describe('the hold mass_delete', () => {
  const massDelete = async () =>
    (await readHolds(fixture.context.redis, fixture.context.clock, fixture.context.settings.policy))
      .massDelete;

  test('is raised by an empty list, and ends when the droplets are listed again', async () => {
    fixture.put(20);
    await fixture.sync.pass();
    fixture.cc.clear();
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await massDelete()).toBe(true);
    expect(await fixture.goneIds(ids(20))).toEqual(ids(20));
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'hold_on', hold: 'mass_delete', accepted: 20 }),
    );
    await fixture.sync.pass();
    expect(await massDelete()).toBe(true);
    fixture.put(20);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
    expect(await fixture.goneIds(ids(20))).toEqual([]);
  });

  test('is not raised by a few deleted droplets', async () => {
    fixture.put(20);
    await fixture.sync.pass();
    for (const id of ids(9)) fixture.cc.delete(id);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test('is not raised after a list that began again, over and over, until it ended', async () => {
    fixture.put(20);
    await fixture.sync.pass();
    fixture.cc.faults.repeatList = true;
    const before = fixture.cc.pageRequests;
    const pass = fixture.sync.pass();
    await expect.poll(() => fixture.cc.pageRequests - before).toBeGreaterThan(100);
    delete fixture.cc.faults.repeatList;
    expect(await pass).toBe('complete');
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test.each([0.3, 0.45])(
    'is raised by a list that names %f of the droplets again and again, and ends',
    async (share) => {
      fixture.put(60);
      await fixture.sync.pass();
      fixture.cc.faults.repeatedShare = share;
      expect(await fixture.sync.pass()).toBe('complete');
      expect(await massDelete()).toBe(true);
      await fixture.sync.pass();
      expect(await massDelete()).toBe(true);
      delete fixture.cc.faults.repeatedShare;
      await fixture.sync.pass();
      expect(await massDelete()).toBe(false);
      expect(await fixture.goneIds(ids(60))).toEqual([]);
    },
  );

  test('is not raised by a list in another order', async () => {
    fixture.put(60);
    await fixture.sync.pass();
    for (const id of ids(20)) fixture.cc.move(id);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test('ends after its time, and the droplets listed then are accepted', async () => {
    fixture.put(20);
    await fixture.sync.pass();
    for (const id of ids(15)) fixture.cc.delete(id);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(true);
    fixture.context.clock.advance(3_600_000);
    expect(await massDelete()).toBe(false);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
  });

  test('ends when an operator releases it', async () => {
    fixture.put(20);
    await fixture.sync.pass();
    for (const id of ids(15)) fixture.cc.delete(id);
    await fixture.sync.pass();
    const { client, keys } = fixture.context.redis;
    await client.hset(keys.holds, 'release_mass_delete', fixture.context.clock.nowMs());
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
    expect(await client.hexists(keys.holds, 'release_mass_delete')).toBe(0);
    await fixture.sync.pass();
    expect(await massDelete()).toBe(false);
  });
});

test('the first pass of an empty Redis is compared with the droplets that run', async () => {
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.summary(0), 'live_droplets', 12);
  await client.hset(keys.summary(1), 'live_droplets', 8);
  expect(await fixture.sync.pass()).toBe('complete');
  const holds = await readHolds(
    fixture.context.redis,
    fixture.context.clock,
    fixture.context.settings.policy,
  );
  expect(holds.massDelete).toBe(true);
  fixture.put(20);
  await fixture.sync.pass();
  expect(
    (await readHolds(fixture.context.redis, fixture.context.clock, fixture.context.settings.policy))
      .massDelete,
  ).toBe(false);
});
