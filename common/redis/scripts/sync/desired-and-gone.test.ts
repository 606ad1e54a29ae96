import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { redisRecords } from '../../../testing/redis/records.ts';
import { storeUpdate } from '../events/store-update.ts';
import { fencePass } from './fence-pass.ts';
import { markGone } from './mark-gone.ts';
import { storeDesired } from './store-desired.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const { record, dueAt, isIndexed, logged } = redisRecords(redis);

const fence = (number: number) => fencePass(redis(), { fence: redis().keys.passOf(0), pass: String(number) });
const desire = (entries: Record<string, string>, { begun = 1000, number = 1, nowMs = 1500 } = {}) =>
  storeDesired(redis(), {
    nowMs,
    begunMs: begun,
    pass: String(number),
    desired: new Map(Object.entries(entries)),
    oldRecordMs: 20_000,
  }).then((stored) => (stored === 'superseded' ? stored : stored.changed));
const gone = (ids: string[], { listedMs = 900 } = {}) =>
  markGone(redis(), { nowMs: 1500, listedMs, pass: '1', ids });

test('a new droplet gets a record', async () => {
  await fence(1);
  expect(await desire({ x: 'encoded', y: 'other' })).toBe(2);
  expect(await record('x')).toEqual({ seen: '1500', desired: 'encoded', rev: '1' });
  expect([await isIndexed('x'), await dueAt('x'), await isIndexed('y'), await dueAt('y')]).toEqual([
    ...[true, 1500],
    ...[true, 1500],
  ]);
});

test('an unchanged desired state changes nothing', async () => {
  await fence(1);
  await desire({ x: 'encoded' });
  await redis().client.del(redis().keys.due(0));
  expect(await desire({ x: 'encoded' }, { begun: 2000, nowMs: 2500 })).toBe(0);
  expect(await record()).toEqual({ seen: '1500', desired: 'encoded', rev: '1' });
  expect(await dueAt()).toBeUndefined();
});

test('a droplet that is listed with an invalid entry keeps its last valid desired state', async () => {
  await fence(1);
  await desire({ x: 'encoded' });
  expect(await desire({ x: '', y: '' })).toBe(1);
  expect(await record('x')).toEqual({ seen: '1500', desired: 'encoded', rev: '1' });
  expect(await record('y')).toEqual({ seen: '1500', listed: '1000', rev: '1' });
  expect(await desire({ x: '', y: '' })).toBe(0);
});

test('a pass that began after an update ends its wait, once; one that began before does not', async () => {
  await fence(1);
  await desire({ x: 'encoded' });
  await storeUpdate(redis(), { droplet: 'x', nowMs: 2000 });
  expect(await desire({ x: 'encoded' }, { begun: 1999 })).toBe(0);
  expect((await record()).listed).toBeUndefined();
  expect(await desire({ x: 'encoded' }, { begun: 2001 })).toBe(1);
  expect((await record()).listed).toBe('2001');
  expect(await desire({ x: 'encoded' }, { begun: 2002 })).toBe(0);
  expect((await record()).listed).toBe('2001');
});

test('gone: the first time stays until the droplet is listed again', async () => {
  await fence(1);
  await desire({ x: 'encoded' });
  expect(await gone(['x', 'unknown'], { listedMs: 900 })).toBe(1);
  expect(await gone(['x'], { listedMs: 2000 })).toBe(0);
  expect(await record()).toMatchObject({ gone: '900', desired: 'encoded', rev: '2' });
  expect(await record('unknown')).toEqual({});
  expect(await desire({ x: 'encoded' })).toBe(1);
  expect(await record()).toEqual({ seen: '1500', desired: 'encoded', rev: '3' });
});

test('a droplet that was only listed with invalid entries is marked gone; one that was never listed is not', async () => {
  await fence(1);
  await desire({ y: '' });
  await storeUpdate(redis(), { droplet: 'x', nowMs: 2000 });
  expect(await gone(['x', 'y'])).toBe(1);
  expect((await record('y')).gone).toBe('900');
  expect((await record('x')).gone).toBeUndefined();
});

test('changes are logged, but not a first desired state and not another `updated` alone', async () => {
  const encoded = (instances: number, updated: number) =>
    `STARTED ${instances}x STAGED version v 256M updated ${updated}`;
  await fence(1);
  await desire({ x: encoded(1, 1) });
  await desire({ x: encoded(1, 2) });
  expect(await logged()).toEqual([]);
  await desire({ x: encoded(2, 3) });
  await gone(['x']);
  await gone(['x']);
  await desire({ x: encoded(2, 3) });
  expect(await logged()).toEqual([
    { atMs: 1500, droplet: 'x', kind: 'desired', was: encoded(1, 2), is: encoded(2, 3) },
    { atMs: 1500, droplet: 'x', kind: 'gone', listedMs: 900 },
    { atMs: 1500, droplet: 'x', kind: 'listed' },
  ]);
});

test('an entry without a time gets that of its last change', async () => {
  const encoded = (instances: number, updated: number | '-') =>
    `STARTED ${instances}x STAGED version v 0M updated ${updated}`;
  const desired = async () => (await record()).desired;
  await fence(1);
  expect(await desire({ x: encoded(1, '-') }, { nowMs: 1500 })).toBe(1);
  expect(await desired()).toBe(encoded(1, 1));
  expect(await desire({ x: encoded(1, '-') }, { nowMs: 9000 })).toBe(0);
  expect(await desired()).toBe(encoded(1, 1));
  expect(await desire({ x: encoded(2, '-') }, { nowMs: 9000 })).toBe(1);
  expect(await desired()).toBe(encoded(2, 9));
});

describe('version_since', () => {
  const encoded = (version: string, instances = 1) =>
    `STARTED ${instances}x STAGED version ${version} 256M updated 1`;
  const since = async (id = 'x') => (await record(id)).version_since;

  test('is when a pass brought another version', async () => {
    await fence(1);
    await desire({ x: encoded('v1') }, { nowMs: 1500 });
    expect(await since()).toBeUndefined();
    await desire({ x: encoded('v1', 2) }, { nowMs: 2500 });
    expect(await since()).toBeUndefined();
    await desire({ x: encoded('v2') }, { begun: 2000, nowMs: 3500 });
    expect(await since()).toBe('3500');
    await desire({ x: encoded('v2', 2) }, { nowMs: 4500 });
    expect(await since()).toBe('3500');
  });

  test('is set by the first pass that lists a droplet whose record is old and has an instance of another version', async () => {
    await fence(1);
    const begin = async (droplet: string, nowMs: number, version: string) => {
      await storeUpdate(redis(), { droplet, nowMs });
      const instance = `0 RUNNING on a version ${version} since 1 first ${nowMs}`;
      await redis().client.hset(redis().keys.droplet(droplet), 'instance:i', instance);
    };
    await begin('old', 1000, 'v0');
    await begin('young', 1001, 'v0');
    await begin('same', 1000, 'v1');
    const listed = ['old', 'young', 'same'];
    await desire(Object.fromEntries(listed.map((id) => [id, encoded('v1')])), { nowMs: 21_001 });
    expect(await Promise.all(listed.map(since))).toEqual(['21001', undefined, undefined]);
  });
});

test('a pass that may not write, or no longer, changes nothing', async () => {
  expect(await desire({ x: 'encoded' })).toBe('superseded');
  expect(await fence(1)).toBe('fenced');
  await desire({ x: 'encoded' });
  expect(await fence(2)).toBe('fenced');
  expect(await fence(2)).toBe('fenced');
  expect(await fence(1)).toBe('superseded');
  expect(await desire({ x: 'older' })).toBe('superseded');
  expect(await gone(['x'])).toBe('superseded');
  expect(await record()).toEqual({ seen: '1500', desired: 'encoded', rev: '1' });
  expect(await desire({ x: 'newer' }, { number: 2 })).toBe(1);
});

test('numbers of passes are compared as numbers', async () => {
  expect(await fence(9)).toBe('fenced');
  expect(await fence(10)).toBe('fenced');
  expect(await fence(9)).toBe('superseded');
});
