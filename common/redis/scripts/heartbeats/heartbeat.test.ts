import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/heartbeat-scripts.ts';

const of = useRedis();
const redis = () => of.context.redis;
const LOST = 30_000;
const { deasLastHeartbeat, begin, finish, heard } = heartbeatScripts(redis, LOST);

describe('touch_deas', () => {
  test('one that is equal and not silent for long was heard when it was received; all others are given back', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await begin(1000, 'b');
    await finish(1000, 'b', 'B');
    expect(await deasLastHeartbeat(['a', 'A', 11_000], ['b', 'other', 11_001], ['c', 'C', 11_002])).toEqual([
      2, 3,
    ]);
    expect(await heard('a')).toEqual([11_000, 1000]);
    expect(await heard('b')).toEqual([1000, undefined]);
    expect(await heard('c')).toEqual([undefined, undefined]);
  });

  test.each([
    [LOST, []],
    [LOST + 1, [1]],
  ])('an equal one after a silence of %i ms', async (silence, changed) => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    expect(await deasLastHeartbeat(['a', 'A', 1000 + silence])).toEqual(changed);
    expect((await heard('a'))[0]).toBe(changed.length === 0 ? 1000 + silence : 1000);
  });

  test('one that comes late does not turn the time back', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await deasLastHeartbeat(['a', 'A', 3000]);
    expect(await deasLastHeartbeat(['a', 'A', 2000])).toEqual([]);
    expect(await heard('a')).toEqual([3000, 1000]);
  });

  test('can be repeated', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    for (let time = 0; time < 2; time++) expect(await deasLastHeartbeat(['a', 'A', 2000])).toEqual([]);
    expect(await heard('a')).toEqual([2000, 1000]);
  });

  test('none is none', async () => {
    expect(await deasLastHeartbeat()).toEqual([]);
  });
});

describe('begin_heartbeat and finish_heartbeat', () => {
  test('the stored list is the one that was finished', async () => {
    const { client, keys } = redis();
    expect(await begin(1000, 'a', line('x'), line('y'))).toEqual(['1000', '', '', '', '', '', '']);
    expect(await finish(1000, 'a', 'A', 2)).toBe(1);
    expect(await begin(2000, 'a', line('y'))).toEqual([
      '2000',
      `${line('x')}\n${line('y')}\n`,
      '',
      '1000',
      ...['', '', ''],
    ]);
    expect(await finish(2000, 'a', 'A2', 1)).toBe(1);
    expect(await client.hgetall(keys.deaList('a'))).toEqual({ at: '2000', list: `${line('y')}\n` });
    expect(await client.hget(keys.deasDigest, 'a')).toBe('A2');
    expect(await client.hget(keys.deasCount, 'a')).toBe('1');
    expect(await heard('a')).toEqual([2000, 1000]);
  });

  test('while one is being stored there is no digest, so none is taken for equal', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await begin(2000, 'a', line('x'));
    expect(await deasLastHeartbeat(['a', 'A', 2001])).toEqual([1]);
  });

  test('what unfinished ones listed is told to the next one', async () => {
    await begin(1000, 'a', line('x'));
    expect(await begin(2000, 'a', line('y'))).toEqual(['2000', '', `${line('x')}\n`, '1000', '1', '', '']);
    expect(await begin(3000, 'a', line('z'))).toEqual([
      '3000',
      '',
      `${line('x')}\n${line('y')}\n`,
      '2000',
      ...['1', '', ''],
    ]);
    await finish(3000, 'a');
    expect((await begin(4000, 'a'))[4]).toBe('');
  });

  test('that an unfinished one listed nothing is told too', async () => {
    await begin(1000, 'a', line('x'));
    await finish(1000, 'a');
    await begin(2000, 'a');
    expect(await begin(3000, 'a', line('x'))).toEqual(['3000', `${line('x')}\n`, '', '2000', '1', '', '']);
  });

  test('however many are never finished, no droplet is remembered twice', async () => {
    for (let time = 1; time <= 50; time++) await begin(time * 1000, 'a', line('x', `f${time}`), line('y'));
    expect((await begin(99_000, 'a'))[2]).toBe(`${line('x', 'f1')}\n${line('y')}\n`);
  });

  test('one that is older than an equal one is stale, too: what it says is not so any more', async () => {
    await begin(1000, 'a', line('x'));
    await finish(1000, 'a', 'A');
    await deasLastHeartbeat(['a', 'A', 11_000]);
    expect(await begin(10_999, 'a', line('y'))).toEqual(['stale']);
    expect(await heard('a')).toEqual([11_000, 1000]);
    expect(await deasLastHeartbeat(['a', 'A', 12_000])).toEqual([]);
  });

  test('an older one is stale and changes nothing', async () => {
    const { client, keys } = redis();
    await begin(2000, 'a', line('x'));
    const before = await client.hgetall(keys.deaList('a'));
    expect(await begin(1999, 'a', line('y'))).toEqual(['stale']);
    expect(await client.hgetall(keys.deaList('a'))).toEqual(before);
    expect(await heard('a')).toEqual([2000, undefined]);
  });

  test('of two of the same millisecond the second is the later', async () => {
    await begin(2000, 'a', line('x'));
    expect((await begin(2000, 'a', line('y')))[0]).toBe('2001');
    expect(await finish('2000', 'a')).toBe(0);
    expect(await finish('2001', 'a')).toBe(1);
  });

  test('one that was overtaken cannot finish', async () => {
    const { client, keys } = redis();
    await begin(1000, 'a', line('x'));
    await begin(2000, 'a', line('y'));
    expect(await finish(1000, 'a', 'old')).toBe(0);
    expect(await client.hget(keys.deasDigest, 'a')).toBeNull();
    expect(await finish(2000, 'a', 'new')).toBe(1);
    expect(await client.hget(keys.deasDigest, 'a')).toBe('new');
  });

  test('a finish that comes twice changes nothing', async () => {
    await begin(1000, 'a', line('x'));
    expect(await finish(1000, 'a')).toBe(1);
    expect(await finish(1000, 'a')).toBe(0);
    expect((await begin(2000, 'a'))[1]).toBe(`${line('x')}\n`);
  });

  test('one who is heard has not shut down', async () => {
    const { client, keys } = redis();
    await client.hset(keys.deasShutdown, 'a', 500, 'b', 500);
    await begin(1000, 'a');
    expect(await client.hgetall(keys.deasShutdown)).toEqual({ b: '500' });
  });
});
