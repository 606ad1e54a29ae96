import { beforeEach, describe, expect, test } from 'vitest';
import { encodeHeartbeatEntry } from '../../../common/redis/records/record-codec.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { metricValue } from '../../../common/testing/context.ts';
import { ids, useSync } from '../../../deploy/verify/fixtures/sync.ts';

const fixture = useSync();
const redis = () => fixture.context.redis;
const PERIOD_MS = 30_000;
/** Every page has its turn once in nine minutes. */
const HEALED_WITHIN_MS = 570_000;

const repairs = (what: string) => metricValue(fixture.context.metrics, 'hm_repairs_total', { what });
const desired = (id: string) => redis().client.hget(redis().keys.droplet(id), 'desired');

/** Completes passes over the same list. @returns whether `isDone` became true within ten minutes */
async function healed(isDone: () => Promise<boolean>): Promise<boolean> {
  for (let ms = 0; ms < HEALED_WITHIN_MS; ms += PERIOD_MS) {
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    if (await isDone()) return true;
  }
  return false;
}

describe('while the pages stay as they are', () => {
  beforeEach(async () => {
    fixture.put(10);
    await fixture.sync.pass();
  });

  test('a deleted record is whole again, and every DEA is stored whole before its grace period ends', async () => {
    const { client, keys } = redis();
    await client.hset(keys.deasDigest, { 'dea-1': 'A', 'dea-2': 'B' });
    await client.del(keys.droplet('app-4'));
    await client.hdel(keys.indexOf('app-4'), 'app-4');
    expect(await healed(async () => (await desired('app-4')) !== null)).toBe(true);
    expect((await fixture.droplet('app-4')).firstSeenMs).toBe(fixture.context.clock.nowMs());
    expect(await client.hexists(keys.indexOf('app-4'), 'app-4')).toBe(1);
    expect(await client.hgetall(keys.deasDigest)).toEqual({ 'dea-1': '', 'dea-2': '' });
    expect(await repairs('record')).toBe(1);
  });

  test('the record of an app that is gone is in the index again, as soon as another one of the index was', async () => {
    const { client, keys } = redis();
    fixture.cc.delete('app-4');
    await fixture.sync.pass();
    const isIndexed = async (id: string) => (await client.hexists(keys.indexOf(id), id)) === 1;
    await client.hdel(keys.indexOf('app-4'), 'app-4');
    await client.hdel(keys.indexOf('app-5'), 'app-5');
    await client.zrem(keys.due(keys.sliceOf('app-4')), 'app-4');
    expect(await healed(() => isIndexed('app-4'))).toBe(true);
    expect(await isIndexed('app-5')).toBe(true);
    expect(await client.zscore(keys.due(keys.sliceOf('app-4')), 'app-4')).not.toBeNull();
    expect((await fixture.droplet('app-4')).goneMs).toBeDefined();
  });

  test.each([
    ['edited', 'STOPPED 7x STAGED version old 1M updated 1'],
    ['edited into nonsense', 'nonsense'],
    ['deleted', undefined],
  ])('a desired state that was %s is as listed again', async (_, value) => {
    const { client, keys } = redis();
    const before = await desired('app-4');
    if (value === undefined) await client.hdel(keys.droplet('app-4'), 'desired');
    else await client.hset(keys.droplet('app-4'), 'desired', value);
    expect(await healed(async () => (await desired('app-4')) === before)).toBe(true);
    expect(await repairs('record')).toBe(1);
  });

  test.each(['seen', 'rev'])('a record whose field `%s` was deleted is whole again', async (field) => {
    const { client, keys } = redis();
    await client.hdel(keys.droplet('app-4'), field);
    expect(await healed(async () => (await client.hexists(keys.droplet('app-4'), field)) === 1)).toBe(true);
  });

  test('a deleted index entry is written again, and nothing else changes', async () => {
    const { client, keys } = redis();
    const before = await client.hgetall(keys.droplet('app-4'));
    await client.hdel(keys.indexOf('app-4'), 'app-4');
    expect(await healed(async () => (await client.hexists(keys.indexOf('app-4'), 'app-4')) === 1)).toBe(true);
    expect(await client.hgetall(keys.droplet('app-4'))).toEqual(before);
  });

  test.each(['the key', 'the entries', 'the digest'])(
    'a page without %s is stored again, and what left the list meanwhile is marked as gone',
    async (what) => {
      const { client, keys } = redis();
      if (what === 'the key') await client.del(keys.syncPage(1));
      else await client.hdel(keys.syncPage(1), what === 'the entries' ? 'entries' : 'sha1');
      fixture.cc.delete('app-4');
      expect(await fixture.sync.pass()).toBe('complete');
      expect(await fixture.goneIds(ids(10))).toEqual(['app-4']);
      expect(await fixture.sync.pass()).toBe('complete');
    },
  );

  test('nothing is repaired where nothing is missing', async () => {
    expect(await healed(async () => false)).toBe(false);
    for (const what of ['record', 'index', 'page']) expect(await repairs(what)).toBe(0);
    for (const id of ids(10)) expect((await fixture.droplet(id)).rev).toBe(1);
  });

  test('numbers of the sync state that were edited count as missing', async () => {
    const { client, keys } = redis();
    const fields = [
      'begun',
      'succeeded',
      'completed',
      'failed',
      'requested',
      'full_begun',
      'full_requested',
      'pass',
    ];
    await client.hset(keys.syncState, Object.fromEntries(fields.map((field) => [field, 'soon'])));
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await readFleetFacts(redis())).pass?.begunMs).toBe(fixture.context.clock.nowMs());
  });

  test('after the state of the sync is lost, the next pass writes everything', async () => {
    const { client, keys } = redis();
    await client.del(keys.syncState, keys.droplet('app-4'));
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await desired('app-4')).not.toBeNull();
  });
});

describe('a full pass', () => {
  const fullBegunMs = async () => (await readFleetFacts(redis())).fullPassBegunMs;

  test('is the first one, and one that was requested; not one that finds a page as before', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    const first = await fullBegunMs();
    expect(first).toBe(fixture.context.clock.nowMs());
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.sync.pass();
    expect(await fullBegunMs()).toBe(first);
    await redis().client.hset(redis().keys.syncState, 'full_requested', fixture.context.clock.nowMs());
    const requested = fixture.context.clock.advance(PERIOD_MS);
    await fixture.sync.pass();
    expect(await fullBegunMs()).toBe(requested);
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.sync.pass();
    expect(await fullBegunMs()).toBe(requested);
  });

  test('rebuilds a record that a heartbeat has begun anew', async () => {
    fixture.put(10);
    await fixture.sync.pass();
    const { client, keys } = redis();
    await client.del(keys.droplet('app-4'));
    const listed = { instance: 'i', index: 0, state: 'RUNNING', version: 'v', stateTimestampS: 1 };
    const encoded = `${encodeHeartbeatEntry(listed, 'dea-1')} first 1`;
    await client.hset(keys.droplet('app-4'), { seen: 1, rev: 1, 'instance:i': encoded });
    await client.hset(keys.syncState, 'full_requested', fixture.context.clock.nowMs());
    await fixture.sync.pass();
    expect((await fixture.droplet('app-4')).desired?.instances).toBe(1);
    expect((await fixture.droplet('app-4')).instances).toHaveLength(1);
  });
});

test('a record that one DEA has begun anew gets a new grace period, and every DEA is stored whole', async () => {
  fixture.put(10);
  await fixture.sync.pass();
  const { client, keys } = redis();
  await client.hset(keys.deasDigest, { 'dea-1': 'A' });
  await client.del(keys.droplet('app-4'));
  await client.hset(keys.droplet('app-4'), { seen: 1, rev: 1 });
  expect(await healed(async () => (await desired('app-4')) !== null)).toBe(true);
  expect((await fixture.droplet('app-4')).firstSeenMs).toBe(fixture.context.clock.nowMs());
  expect(await client.hget(keys.deasDigest, 'dea-1')).toBe('');
  expect(await repairs('record')).toBe(1);
});

test.each(['the sync state and its pages', 'a page'])(
  'when %s are lost, every DEA is stored whole',
  async (what) => {
    fixture.put(10);
    await fixture.sync.pass();
    const { client, keys } = redis();
    await client.hset(keys.deasDigest, { 'dea-1': 'A' });
    await client.del(keys.syncPage(1));
    if (what !== 'a page') await client.del(keys.syncState, ...[0, 2, 3].map(keys.syncPage));
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await client.hget(keys.deasDigest, 'dea-1')).toBe('');
  },
);

describe('an app whose record is lost and whose entry changed', () => {
  beforeEach(async () => {
    fixture.put(10);
    await fixture.sync.pass();
    const { client, keys } = redis();
    await client.hset(keys.deasDigest, { 'dea-1': 'A' });
    await client.del(keys.droplet('app-4'));
  });

  test.each([
    ['without a record', async () => undefined],
    [
      'with one that droplet.updated has begun anew',
      async () => void (await redis().client.hset(redis().keys.droplet('app-4'), { seen: 1, rev: 1 })),
    ],
  ])('%s: every DEA is stored whole before its grace period ends', async (_, begin) => {
    await begin();
    fixture.cc.put('app-4', { instances: 3 });
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.droplet('app-4')).desired?.instances).toBe(3);
    expect((await fixture.droplet('app-4')).firstSeenMs).toBe(fixture.context.clock.nowMs());
    expect(await redis().client.hget(redis().keys.deasDigest, 'dea-1')).toBe('');
  });

  test('and that moved to another page: likewise', async () => {
    fixture.cc.delete('app-0');
    fixture.cc.move('app-4');
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.droplet('app-4')).firstSeenMs).toBe(fixture.context.clock.nowMs());
    expect(await redis().client.hget(redis().keys.deasDigest, 'dea-1')).toBe('');
  });

  test('an app that is really new expires no digest', async () => {
    await redis().client.hdel(redis().keys.indexOf('app-4'), 'app-4');
    fixture.cc.put('new', {});
    fixture.context.clock.advance(PERIOD_MS);
    expect(await fixture.sync.pass()).toBe('complete');
    expect(await redis().client.hget(redis().keys.deasDigest, 'dea-1')).toBe('A');
  });
});
