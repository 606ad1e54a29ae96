import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';

/** Records that somebody edited by hand: only they are left alone. */
const of = useRedis();
const client = () => of.context.redis.client;
const BAD: [string, (key: string) => Promise<unknown>][] = [
  ['a text', (key) => client().set(key, 'by hand')],
  ['a list', (key) => client().rpush(key, 'by hand')],
  ['a revision in words', (key) => client().hset(key, 'rev', 'many', 'desired', 'x')],
  ['a revision without bounds', (key) => client().hset(key, 'rev', '9223372036854775807', 'desired', 'x')],
];

describe.each(BAD)('%s in the place of a record', (_, spoil) => {
  const good = 'hm:{0}:droplet:good';
  const bad = 'hm:{0}:droplet:bad';
  const due = () => client().zrange(of.context.redis.keys.due(0), '0', '-1');
  const spoilt = async () => {
    await spoil(bad);
    return client().dump(bad);
  };

  test('does not keep a heartbeat from the others', async () => {
    const { keys, scripts } = of.context.redis;
    const before = await spoilt();
    const words = '0 RUNNING on a version v since 1';
    const changed = await scripts.storeHeartbeatDroplets(
      [bad, keys.index(0, 0), keys.due(0), good, keys.index(0, 0), keys.due(0)],
      [1000, '', ' on a ', 'a', '', '', '', '', '', 'bad', 1, 'i', words, 'good', 1, 'j', words],
    );
    expect(changed).toBe(1);
    expect(await client().hget(good, 'instance:j')).toBe(`${words} first 1000`);
    expect(await client().dump(bad)).toEqual(before);
    expect(await due()).toEqual(['bad', 'good']);
    expect(await client().hkeys(keys.index(0, 0))).toEqual(expect.arrayContaining(['bad', 'good']));
  });

  test('does not keep a bulk page from the others', async () => {
    const { keys, scripts } = of.context.redis;
    const before = await spoilt();
    await client().set(keys.passOf(0), '1');
    const changed = await scripts.storeDesired(
      [keys.due(0), keys.passOf(0), keys.decisions(0), bad, keys.index(0, 0), good, keys.index(0, 0)],
      [1000, 900, '1', 'bad\nwords\ngood\nwords\n', 100],
    );
    expect(changed).toBe(1);
    expect(await client().hget(good, 'desired')).toBe('words');
    expect(await client().dump(bad)).toEqual(before);
    expect(await due()).toEqual(['bad', 'good']);
    const gone = await scripts.markGone(
      [keys.due(0), keys.passOf(0), keys.decisions(0), bad, good],
      [1001, 1000, '1', 100, 'bad', 'good'],
    );
    expect(gone).toBe(1);
    expect(await client().dump(bad)).toEqual(before);
  });

  test('does not keep the others from being read', async () => {
    await spoilt();
    await client().hset(good, 'rev', 1);
    const [first, second] = await of.context.redis.scripts.readDroplets([bad, good], []);
    expect(first).not.toBe('');
    expect(second).toBe('rev\n1');
  });
});

test('a time of an update that is no number does not stop the sync', async () => {
  const { keys, scripts } = of.context.redis;
  await client().set(keys.passOf(0), '1');
  await client().hset('hm:{0}:droplet:x', { rev: 1, seen: 1, updated: 'soon', listed: 'never' });
  const args = [1000, 900, '1', 'x\nwords\n', 100];
  expect(
    await scripts.storeDesired(
      [keys.due(0), keys.passOf(0), keys.decisions(0), 'hm:{0}:droplet:x', keys.index(0, 0)],
      args,
    ),
  ).toBe(1);
});

test.each([
  ['soon', '5'],
  ['5', 'late'],
  ['5', '99999999999999'],
])('listening since %s until %s begins anew', async (since, until) => {
  const { keys, scripts } = of.context.redis;
  await client().hset(keys.listening, { since, until });
  await scripts.publishWatermark(
    [keys.listening, keys.ingestors],
    [100_000, 'me', 10_000, 3_000, 100_000, ''],
  );
  expect(await client().hgetall(keys.listening)).toMatchObject({ since: '100000', until: '100000' });
});
