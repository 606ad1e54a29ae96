import { expect, test } from 'vitest';
import { markFullSyncRequested } from '../../../common/queues/sync-request.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { noteLostRecords } from './lost-records.ts';

const of = useRedis();
const note = (...ids: string[]) => noteLostRecords(of.context.redis, of.context.clock, ids);
const entry = (id: string) => of.context.redis.client.hget(of.context.redis.keys.indexOf(id), id);
const index = (id: string, value = '') =>
  of.context.redis.client.hset(of.context.redis.keys.indexOf(id), id, value);
const fullPassBegan = (atMs: number) =>
  of.context.redis.client.hset(of.context.redis.keys.syncState, 'full_begun', atMs);

test('an index entry without a record stays until a full pass that began later did not bring it back', async () => {
  const { clock } = of.context;
  await index('x');
  await fullPassBegan(clock.nowMs() - 1);
  expect(await note('x')).toEqual({ removed: [], isFullPassNeeded: true });
  expect(await entry('x')).toBe(String(clock.nowMs()));
  const notedMs = clock.nowMs();
  clock.advance(60_000);
  expect(await note('x')).toEqual({ removed: [], isFullPassNeeded: true });
  await fullPassBegan(notedMs + 1);
  expect(await note('x')).toEqual({ removed: ['x'], isFullPassNeeded: false });
  expect(await entry('x')).toBeNull();
});

test('a record that can be read, and one that was removed meanwhile, need no pass', async () => {
  const { client, keys } = of.context.redis;
  await index('whole');
  await client.hset(keys.droplet('whole'), 'rev', '1', 'seen', '1');
  expect(await note('whole', 'removed')).toEqual({ removed: [], isFullPassNeeded: false });
  expect(await entry('whole')).toBe('');
});

test('a time that somebody edited is noted anew', async () => {
  await index('x', 'soon');
  expect((await note('x')).isFullPassNeeded).toBe(true);
  expect(await entry('x')).toBe(String(of.context.clock.nowMs()));
});

const SETTINGS = { dropletLostMs: 30_000 };

test('a full pass is requested at most once in ten times droplet_lost', async () => {
  const { redis, clock } = of.context;
  expect(await markFullSyncRequested(redis, clock, SETTINGS)).toBe(true);
  clock.advance(299_999);
  expect(await markFullSyncRequested(redis, clock, SETTINGS)).toBe(false);
  clock.advance(1);
  expect(await markFullSyncRequested(redis, clock, SETTINGS)).toBe(true);
  for (const edited of ['soon', '999999999999999']) {
    await redis.client.hset(redis.keys.syncState, 'full_requested', edited);
    expect(await markFullSyncRequested(redis, clock, SETTINGS)).toBe(true);
  }
});
