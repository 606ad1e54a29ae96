import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../../testing/context.ts';
import { publishWatermark } from '../../fleet/publish-watermark.ts';
import { storeHeartbeatDroplets } from '../../heartbeats/store-heartbeat-droplets.ts';
import { markGone } from '../../sync/mark-gone.ts';
import { storeDesired } from '../../sync/store-desired.ts';
import { readDroplets } from './read-droplets.ts';

/** A record that somebody edited is left alone, and the others are written. */
const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const client = () => redis().client;
const EDITS: [string, (key: string) => Promise<unknown>][] = [
  ['a string', (key) => client().set(key, 'edited')],
  ['a list', (key) => client().rpush(key, 'edited')],
  ['a revision that is no number', (key) => client().hset(key, 'rev', 'many', 'desired', 'x')],
  ['a revision that cannot grow', (key) => client().hset(key, 'rev', '9223372036854775807', 'desired', 'x')],
];

describe.each(EDITS)('%s in the place of a record', (_, edit) => {
  const good = 'hm:{0}:droplet:good';
  const bad = 'hm:{0}:droplet:bad';
  const due = () => client().zrange(redis().keys.due(0), '0', '-1');
  const edited = async () => {
    await edit(bad);
    return client().dump(bad);
  };

  test('does not keep a heartbeat from the other droplets', async () => {
    const before = await edited();
    const listed = (instance: string) => [
      { instance, index: 0, state: 'RUNNING', version: 'v', stateTimestampS: 1 },
    ];
    const { changed } = await storeHeartbeatDroplets(
      redis(),
      { dea: 'a', atMs: 1000, fence: false, markDue: false },
      new Map([
        ['bad', listed('i')],
        ['good', listed('j')],
      ]),
    );
    expect(changed).toBe(1);
    expect(await client().hget(good, 'instance:j')).toBe('0 RUNNING on a version v since 1 first 1000');
    expect(await client().dump(bad)).toEqual(before);
    expect(await due()).toEqual(['bad', 'good']);
    for (const id of ['bad', 'good']) expect(await client().hexists(redis().keys.indexOf(id), id)).toBe(1);
  });

  test('does not keep a bulk page from the other droplets', async () => {
    const before = await edited();
    await client().set(redis().keys.passOf(0), '1');
    const desired = new Map([
      ['bad', 'encoded'],
      ['good', 'encoded'],
    ]);
    expect(
      await storeDesired(redis(), { nowMs: 1000, begunMs: 900, pass: '1', desired, oldRecordMs: 20_000 }),
    ).toMatchObject({
      changed: 1,
    });
    expect(await client().hget(good, 'desired')).toBe('encoded');
    expect(await client().dump(bad)).toEqual(before);
    expect(await due()).toEqual(['bad', 'good']);
    const ids = ['bad', 'good'];
    expect(await markGone(redis(), { nowMs: 1001, listedMs: 1000, pass: '1', ids })).toBe(1);
    expect(await client().dump(bad)).toEqual(before);
  });

  test('does not keep the other droplets from being read', async () => {
    await edited();
    await client().hset(good, 'rev', 1);
    const [first, second] = await readDroplets(redis(), ['bad', 'good']);
    expect(first).toBeInstanceOf(Error);
    expect(second).toMatchObject({ id: 'good', rev: 1 });
  });
});

test('a time of an update that is no number does not stop the sync', async () => {
  await client().set(redis().keys.passOf(0), '1');
  await client().hset('hm:{0}:droplet:x', { rev: 1, seen: 1, updated: 'soon', listed: 'never' });
  const desired = new Map([['x', 'encoded']]);
  expect(
    await storeDesired(redis(), { nowMs: 1000, begunMs: 900, pass: '1', desired, oldRecordMs: 20_000 }),
  ).toMatchObject({
    changed: 1,
  });
});

test.each([
  ['soon', '5'],
  ['5', 'late'],
  ['5', '99999999999999'],
])('an edited streak, since %s until %s, begins anew', async (since, until) => {
  const { keys } = redis();
  await client().hset(keys.listening, { since, until, generation: 0 });
  await publishWatermark(redis(), {
    ingestor: 'me',
    nowMs: 100_000,
    watermarkMs: 100_000,
    gapMs: 10_000,
    silenceMs: 3_000,
    keepGapsMs: 300_000,
    generation: 0,
    ...{ host: 'test', pid: 1 },
    mayHaveLost: false,
    mayTakeOver: false,
    gone: [],
  });
  expect(await client().hgetall(keys.listening)).toMatchObject({ since: '100000', until: '100000' });
});
