import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/redis/heartbeat-scripts.ts';
import { touchDeas } from '../deas/touch-deas.ts';
import { beginHeartbeat } from './begin-heartbeat.ts';

const of = useRedis();
const redis = () => of.context.redis;
const LOST = 30_000;
const { touch, begin, finish, heartbeatsOf } = heartbeatScripts(redis, LOST);

describe('touch_deas', () => {
  test('an equal heartbeat within droplet_lost sets the time of its DEA; all others are returned', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await begin(1000, 'b');
    await finish(1000, 'b', 'B');
    expect(await touch(['a', 'A', 11_000], ['b', 'other', 11_001], ['c', 'C', 11_002])).toEqual(['b', 'c']);
    expect(await heartbeatsOf('a')).toEqual([11_000, 1000]);
    expect(await heartbeatsOf('b')).toEqual([1000, undefined]);
    expect(await heartbeatsOf('c')).toEqual([undefined, undefined]);
  });

  test.each([
    [LOST, []],
    [LOST + 1, ['a']],
  ])('an equal one after a silence of %i ms', async (silence, changed) => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    expect(await touch(['a', 'A', 1000 + silence])).toEqual(changed);
    expect((await heartbeatsOf('a'))[0]).toBe(changed.length === 0 ? 1000 + silence : 1000);
  });

  // Heartbeats at 1 s. Ingestors listened for 20 s after it, then there was a gap of a minute.
  const GAP = { begunMs: 21_000, endedMs: 81_000 };
  const heardBeforeGap = async (gaps: string, untilMs: number) => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    const { client, keys } = redis();
    await client.hset(keys.listening, { gaps, until: untilMs });
  };

  test.each([
    [GAP.endedMs + LOST - 20_000, []],
    [GAP.endedMs + LOST - 20_000 + 1, ['a']],
  ])('a gap is no silence of the DEA: an equal heartbeat at %i ms', async (at, changed) => {
    await heardBeforeGap(`100 200 ${GAP.begunMs} ${GAP.endedMs}`, at);
    expect(await touch(['a', 'A', at])).toEqual(changed);
    expect((await heartbeatsOf('a'))[0]).toBe(changed.length === 0 ? at : 1000);
  });

  test.each([
    [GAP.begunMs, []],
    [GAP.endedMs - LOST / 3, ['a']],
  ])('a gap that lasts counts from the last watermark at %i ms', async (untilMs, changed) => {
    await heardBeforeGap('', untilMs);
    expect(await touch(['a', 'A', GAP.endedMs])).toEqual(changed);
  });

  test.each([
    ['for an earlier loss', 900, []],
    ['for this silence', 1000, ['a']],
  ])('whatever gaps there were, a DEA whose droplets were made due %s', async (_, markMs, changed) => {
    await heardBeforeGap(`${GAP.begunMs} ${GAP.endedMs}`, GAP.endedMs);
    const { client, keys } = redis();
    await client.zadd(keys.deasLost, markMs, 'a');
    expect(await touch(['a', 'A', GAP.endedMs])).toEqual(changed);
  });

  test('a late heartbeat does not set the time back', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await touch(['a', 'A', 3000]);
    expect(await touch(['a', 'A', 2000])).toEqual([]);
    expect(await heartbeatsOf('a')).toEqual([3000, 1000]);
  });

  test('can be repeated', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    for (let time = 0; time < 2; time++) expect(await touch(['a', 'A', 2000])).toEqual([]);
    expect(await heartbeatsOf('a')).toEqual([2000, 1000]);
  });

  test('no heartbeats: nothing to store', async () => {
    expect(await touch()).toEqual([]);
  });
});

/** What `begin` gives if nothing is stored. */
const FIRST = { storedList: '', incompleteList: '', hasUnfinished: false, isSuspect: false };
const begun = async (...call: Parameters<typeof begin>) => {
  const result = await begin(...call);
  if (typeof result === 'string') throw new Error(`expected a heartbeat to begin, found ${result}`);
  return result;
};

describe('begin_heartbeat and finish_heartbeat', () => {
  test('the stored list is the one that was finished', async () => {
    const { client, keys } = redis();
    expect(await begin(1000, 'a', line('x'), line('y'))).toMatchObject({ ...FIRST, atMs: 1000 });
    expect(await finish(1000, 'a', 'A', 2)).toBe('finished');
    expect(await begin(2000, 'a', line('y'))).toMatchObject({
      ...FIRST,
      atMs: 2000,
      storedList: `${line('x')}\n${line('y')}\n`,
      previousHeartbeatMs: 1000,
    });
    expect(await finish(2000, 'a', 'A2', 1)).toBe('finished');
    expect(await client.hgetall(keys.deaList('a'))).toEqual({ at: '2000', list: `${line('y')}\n` });
    expect(await client.hget(keys.deasDigest, 'a')).toBe('A2');
    expect(await client.hget(keys.deasCount, 'a')).toBe('1');
    expect(await heartbeatsOf('a')).toEqual([2000, 1000]);
  });

  test('while a heartbeat is being stored there is no digest, so no other counts as equal', async () => {
    await begin(1000, 'a');
    await finish(1000, 'a', 'A');
    await begin(2000, 'a', line('x'));
    expect(await touch(['a', 'A', 2001])).toEqual(['a']);
  });

  test('the next heartbeat gets what unfinished ones listed', async () => {
    await begin(1000, 'a', line('x'));
    expect(await begin(2000, 'a', line('y'))).toMatchObject({
      ...FIRST,
      atMs: 2000,
      incompleteList: `${line('x')}\n`,
      previousHeartbeatMs: 1000,
      hasUnfinished: true,
    });
    expect(await begin(3000, 'a', line('z'))).toMatchObject({
      ...FIRST,
      atMs: 3000,
      incompleteList: `${line('x')}\n${line('y')}\n`,
      previousHeartbeatMs: 2000,
      hasUnfinished: true,
    });
    await finish(3000, 'a');
    expect((await begun(4000, 'a')).hasUnfinished).toBe(false);
  });

  test('the next heartbeat learns of an unfinished one that listed nothing', async () => {
    await begin(1000, 'a', line('x'));
    await finish(1000, 'a');
    await begin(2000, 'a');
    expect(await begin(3000, 'a', line('x'))).toMatchObject({
      ...FIRST,
      atMs: 3000,
      storedList: `${line('x')}\n`,
      previousHeartbeatMs: 2000,
      hasUnfinished: true,
    });
  });

  test('each droplet is kept once, however many heartbeats are never finished', async () => {
    for (let time = 1; time <= 50; time++) await begin(time * 1000, 'a', line('x', `f${time}`), line('y'));
    expect((await begun(99_000, 'a')).incompleteList).toBe(`${line('x', 'f1')}\n${line('y')}\n`);
  });

  test('a heartbeat older than a later equal one is stale', async () => {
    await begin(1000, 'a', line('x'));
    await finish(1000, 'a', 'A');
    await touch(['a', 'A', 11_000]);
    expect(await begin(10_000, 'a', line('y'))).toBe('stale');
    expect(await heartbeatsOf('a')).toEqual([11_000, 1000]);
    expect(await touch(['a', 'A', 12_000])).toEqual([]);
  });

  test('one that is older than the stored list is stale, also after Redis has lost the time of the last heartbeat', async () => {
    await begin(2000, 'a');
    await finish(2000, 'a', 'A');
    await redis().client.del(redis().keys.deasLastHeartbeat);
    expect(await begin(1000, 'a')).toBe('stale');
    expect(await begin(3000, 'a')).toMatchObject({ atMs: 3000 });
  });

  test('an older heartbeat is stale and changes nothing', async () => {
    const { client, keys } = redis();
    await begin(2000, 'a', line('x'));
    const before = await client.hgetall(keys.deaList('a'));
    expect(await begin(1000, 'a', line('y'))).toBe('stale');
    expect(await client.hgetall(keys.deaList('a'))).toEqual(before);
    expect(await heartbeatsOf('a')).toEqual([2000, undefined]);
  });

  test('the second of two heartbeats in one millisecond gets a later time', async () => {
    await begin(2000, 'a', line('x'));
    expect((await begun(2000, 'a', line('y'))).atMs).toBe(2001);
    expect(await finish(2000, 'a')).toBe('superseded');
    expect(await finish(2001, 'a')).toBe('finished');
  });

  test('one that was received just before another gets a time after it, and none that is stored again', async () => {
    await begin(2000, 'a', line('x'));
    await finish(2000, 'a');
    await touch(['a', 'digest', 2500]);
    const older = { dea: 'a', receivedMs: 1999, earliestMs: 1999, list: line('y'), dropletLostMs: LOST };
    expect(await beginHeartbeat(redis(), { ...older, isRepeated: true })).toBe('stale');
    expect(await beginHeartbeat(redis(), older)).toMatchObject({ atMs: 2501, previousHeartbeatMs: 2500 });
  });

  test('one that may wait does so only for an unfinished one that was received at about the same time', async () => {
    const { client, keys } = redis();
    await begin(2000, 'a', line('x'));
    const before = await client.hgetall(keys.deaList('a'));
    const later = { dea: 'a', earliestMs: 2000, list: line('y'), dropletLostMs: LOST, mayWait: true };
    for (const receivedMs of [1001, 2000, 2999])
      expect(await beginHeartbeat(redis(), { ...later, receivedMs })).toBe('unfinished');
    expect(await client.hgetall(keys.deaList('a'))).toEqual(before);
    expect(
      await beginHeartbeat(redis(), { ...later, list: `${line('x')}\n`, receivedMs: 2000 }),
    ).toMatchObject({
      atMs: 2001,
      hasUnfinished: true,
    });
    expect(await beginHeartbeat(redis(), { ...later, receivedMs: 3001 })).toMatchObject({ atMs: 3001 });
    await finish(3001, 'a');
    expect(await beginHeartbeat(redis(), { ...later, receivedMs: 3002 })).toMatchObject({ atMs: 3002 });
  });

  test('a heartbeat does not finish after a newer one has begun', async () => {
    const { client, keys } = redis();
    await begin(1000, 'a', line('x'));
    await begin(2000, 'a', line('y'));
    expect(await finish(1000, 'a', 'old')).toBe('superseded');
    expect(await client.hget(keys.deasDigest, 'a')).toBeNull();
    expect(await finish(2000, 'a', 'new')).toBe('finished');
    expect(await client.hget(keys.deasDigest, 'a')).toBe('new');
  });

  test('a repeated finish changes nothing', async () => {
    await begin(1000, 'a', line('x'));
    expect(await finish(1000, 'a')).toBe('finished');
    expect(await finish(1000, 'a')).toBe('superseded');
    expect((await begun(2000, 'a')).storedList).toBe(`${line('x')}\n`);
  });

  describe('a DEA that announced its shutdown', () => {
    const shutdowns = () => redis().client.hgetall(redis().keys.deasShutdown);
    const shutDown = (atMs: number | string) => redis().client.hset(redis().keys.deasShutdown, 'a', atMs);

    test('runs on if it sends another heartbeat, changed or equal', async () => {
      await redis().client.hset(redis().keys.deasShutdown, 'b', 500);
      await shutDown(500);
      await begin(1000, 'a');
      expect(await shutdowns()).toEqual({ b: '500' });
      await finish(1000, 'a', 'same');
      await shutDown(2000);
      expect(await touch(['a', 'same', 2000])).toEqual([]);
      expect(await touch(['a', 'same', 2001])).toEqual(['a']);
      await begin(2001, 'a');
      expect(await shutdowns()).toEqual({ b: '500' });
    });

    test('is not running because of a heartbeat that was delivered before and is handled after it', async () => {
      await begin(1000, 'a');
      await finish(1000, 'a', 'same');
      await shutDown(2000);
      const late = { dea: 'a', receivedMs: 2050, earliestMs: 1950 };
      await beginHeartbeat(redis(), { ...late, list: '', dropletLostMs: LOST });
      expect(await shutdowns()).toEqual({ a: '2000' });
      await finish(2050, 'a', 'same');
      const equal = new Map([['a', { digest: 'same', receivedMs: 2090, earliestMs: 1990 }]]);
      expect((await touchDeas(redis(), { dropletLostMs: LOST, heartbeats: equal })).changed).toEqual([]);
      expect(await shutdowns()).toEqual({ a: '2000' });
      expect(await touch(['a', 'same', 12_000])).toEqual(['a']);
    });

    test('runs on if the time of its shutdown was edited into no number', async () => {
      await shutDown('soon');
      await begin(1000, 'a');
      expect(await shutdowns()).toEqual({});
    });
  });
});
