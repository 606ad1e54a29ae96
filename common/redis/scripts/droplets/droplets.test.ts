import { describe, expect, test } from 'vitest';
import { recordOf, useRedis } from '../../../testing/context.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const NAME = 'x';
const keys = (id = NAME) => [redis().keys.droplet(id), redis().keys.due(0), redis().keys.indexOf(id)];
const record = (id = NAME) => recordOf(redis(), id);
const put = (fields: Record<string, string | number>, id = NAME) =>
  redis().client.hset(redis().keys.droplet(id), fields);
const dueAt = async (id = NAME) => {
  const score = await redis().client.zscore(redis().keys.due(0), id);
  return score === null ? undefined : Number(score);
};
const setDue = (ms: number, id = NAME) => redis().client.zadd(redis().keys.due(0), ms, id);
const indexed = (id = NAME) => redis().client.hexists(redis().keys.indexOf(id), id);
const logged = async () => {
  const entries = await redis().client.xrange(redis().keys.decisions(0), '-', '+');
  return entries.map(([, fields]) => fields);
};

describe('exited', () => {
  const exited = (reason: string, atMs: number, instance = 'i') =>
    redis().scripts.storeExit(keys(), [
      NAME,
      instance,
      `0 ${reason} version v at ${atMs} crashed -`,
      atMs,
      reason,
      STANDS,
    ]);
  /** How long an exit stands (ms). */
  const STANDS = 60_000;

  test('a droplet that nobody has heard of gets a record', async () => {
    expect(await exited('CRASHED', 1000)).toBe(1);
    expect(await record()).toEqual({
      seen: '1000',
      exits: '1',
      rev: '1',
      'exit:i': '0 CRASHED version v at 1000 crashed - n 1',
    });
    expect(await indexed()).toBe(1);
    expect(await dueAt()).toBe(1000);
  });

  test('exits are numbered, and one that is known keeps what else is known', async () => {
    await put({ rev: 5, seen: 1, handled: 3, exits: 3, 'instance:i': 'words' });
    expect(await exited('CRASHED', 1000, 'i')).toBe(1);
    expect(await exited('STOPPED', 1001, 'j')).toBe(1);
    expect(await record()).toMatchObject({
      seen: '1',
      rev: '7',
      exits: '5',
      handled: '3',
      'exit:i': '0 CRASHED version v at 1000 crashed - n 4',
      'exit:j': '0 STOPPED version v at 1001 crashed - n 5',
      'instance:i': 'words',
    });
  });

  /** What is known, what comes, what is then known. */
  test.each([
    ['CRASHED', 'CRASHED', 'CRASHED'],
    ['CRASHED', 'STOPPED', 'CRASHED'],
    ['CRASHED', 'DEA_EVACUATION', 'CRASHED'],
    ['STOPPED', 'CRASHED', 'STOPPED'],
    ['STOPPED', 'DEA_SHUTDOWN', 'STOPPED'],
    ['DEA_SHUTDOWN', 'DEA_EVACUATION', 'DEA_SHUTDOWN'],
    ['DEA_EVACUATION', 'DEA_EVACUATION', 'DEA_EVACUATION'],
    ['DEA_EVACUATION', 'CRASHED', 'CRASHED'],
    ['DEA_EVACUATION', 'STOPPED', 'STOPPED'],
    ['DEA_EVACUATION', 'DEA_SHUTDOWN', 'DEA_SHUTDOWN'],
  ])('%s, then %s of one instance: %s', async (first, second, known) => {
    await exited(first, 1000);
    const replaced = known !== first;
    expect(await exited(second, 2000)).toBe(replaced ? 1 : 0);
    expect((await record())['exit:i']).toContain(`0 ${known} version v at ${replaced ? 2000 : 1000}`);
    expect(await record()).toMatchObject({ exits: replaced ? '2' : '1', rev: replaced ? '2' : '1' });
    expect(await dueAt()).toBe(replaced ? 2000 : 1000);
  });

  test.each(['CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'])(
    '%s of an instance whose first exit stands no more is an exit again: it was resumed',
    async (reason) => {
      await exited('DEA_SHUTDOWN', 1000);
      expect(await exited(reason, 1000 + STANDS)).toBe(0);
      expect(await exited(reason, 1001 + STANDS)).toBe(1);
      expect(await record()).toMatchObject({
        exits: '2',
        'exit:i': `0 ${reason} version v at ${1001 + STANDS} crashed - n 2`,
      });
      expect(await exited(reason, 1001 + STANDS)).toBe(0);
    },
  );

  test('a version that looks like an evacuation is no evacuation', async () => {
    await redis().scripts.storeExit(keys(), [
      NAME,
      'i',
      '0 CRASHED version DEA_EVACUATION at 1 crashed -',
      1,
      'CRASHED',
      STANDS,
    ]);
    expect(await exited('STOPPED', 2)).toBe(0);
  });
});

describe('updated', () => {
  const updated = (nowMs: number) => redis().scripts.storeUpdate(keys(), [NAME, nowMs]);

  test('a droplet that nobody has heard of gets a record', async () => {
    expect(await updated(1000)).toBe(1);
    expect(await record()).toEqual({ seen: '1000', updated: '1000', rev: '1' });
    expect(await indexed()).toBe(1);
    expect(await dueAt()).toBe(1000);
  });

  test('the latest time stays; a repetition is no news', async () => {
    await put({ rev: 5, seen: 1 });
    await updated(2000);
    await updated(2000);
    await updated(1000);
    expect(await record()).toEqual({ seen: '1', updated: '2000', rev: '6' });
    await updated(3000);
    expect(await record()).toEqual({ seen: '1', updated: '3000', rev: '7' });
  });
});

describe('commit', () => {
  interface Call {
    rev?: number;
    nowMs?: number;
    requeueAtMs?: number;
    set?: Record<string, string>;
    remove?: string[];
    log?: string[];
    severity?: number;
  }
  const commit = async (call: Call) => (await commitAll([{ droplet: NAME, ...call }]))[0];
  const commitAll = (calls: (Call & { droplet: string })[]) => {
    const { keys: of, scripts } = redis();
    return scripts.commitDecisions(
      calls.flatMap(({ droplet }) => [of.droplet(droplet), of.due(0), of.decisions(0), of.troubled(0)]),
      [100, ...calls.flatMap(argumentsOf)],
    );
  };
  const argumentsOf = (call: Call & { droplet: string }) => {
    const { rev = 5, nowMs = 1000, requeueAtMs, set = {}, remove = [], log = [], severity = 0 } = call;
    return [
      ...[call.droplet, rev, nowMs, requeueAtMs ?? '', severity],
      ...[Object.keys(set).length, remove.length, log.length],
      ...Object.entries(set).flat(),
      ...remove,
      ...log,
    ];
  };

  test('sets, removes and logs, all with one revision', async () => {
    await put({ rev: 5, seen: 1, a: 'old', b: 'old', c: 'old' });
    expect(
      await commit({ set: { a: 'new', d: 'new' }, remove: ['b', 'unknown'], log: ['{"n":1}', '{"n":2}'] }),
    ).toBe(1);
    expect(await record()).toEqual({ rev: '6', seen: '1', a: 'new', c: 'old', d: 'new' });
    expect(await logged()).toEqual([
      ['entry', '{"n":1}'],
      ['entry', '{"n":2}'],
    ]);
  });

  test('nothing to store is no new revision', async () => {
    await put({ rev: 5, seen: 1 });
    expect(await commit({})).toBe(1);
    expect(await record()).toEqual({ rev: '5', seen: '1' });
  });

  test.each([
    ['has changed', { rev: 6, seen: 1 }],
    ['is gone', undefined],
  ])('on a record that %s nothing happens', async (_, fields) => {
    if (fields !== undefined) await put(fields);
    await setDue(500);
    const before = await record();
    expect(await commit({ set: { a: 'new' }, remove: ['seen'], log: ['{}'], requeueAtMs: 9 })).toBe(0);
    expect(await record()).toEqual(before);
    expect(await logged()).toEqual([]);
    expect(await dueAt()).toBe(500);
  });

  test('of two who decided on one record one is told 1', async () => {
    await put({ rev: 5, seen: 1 });
    const told = await Promise.all([commit({ set: { a: '1' } }), commit({ set: { a: '2' } })]);
    expect(told.sort()).toEqual([0, 1]);
  });

  /** The decision was made at 1000. */
  test.each<[dueMs: number | undefined, requeueAtMs: number | undefined, then: number | undefined]>([
    [undefined, undefined, undefined],
    [undefined, 5000, 5000],
    [500, undefined, undefined],
    [1000, undefined, undefined],
    [1000, 5000, 5000],
    [500, 5000, 5000],
    [1001, undefined, 1001],
    [1001, 5000, 1001],
    [9000, undefined, 9000],
    [9000, 5000, 5000],
  ])('due at %s, to be looked at again at %s: due at %s', async (dueMs, requeueAtMs, then) => {
    await put({ rev: 5, seen: 1 });
    if (dueMs !== undefined) await setDue(dueMs);
    expect(await commit(requeueAtMs === undefined ? {} : { requeueAtMs })).toBe(1);
    expect(await dueAt()).toBe(then);
  });

  test('a droplet is among the troubled ones while it is not as it should be', async () => {
    await put({ rev: 5, seen: 1 });
    const { client, keys: of } = redis();
    const troubled = () => client.zrange(of.troubled(0), '0', '-1', 'WITHSCORES');
    await commit({ severity: 500_001 });
    expect(await troubled()).toEqual([NAME, '500001']);
    await commit({ rev: 4, severity: 0 });
    expect(await troubled()).toEqual([NAME, '500001']);
    await commit({ severity: 0 });
    expect(await troubled()).toEqual([]);
  });

  test('of several droplets each is stored or not by itself', async () => {
    const { client, keys: of } = redis();
    const names = ['one', 'moved', 'three', 'strange', 'five'];
    for (const name of names) await client.hset(of.droplet(name), { rev: name === 'moved' ? 6 : 5 });
    await client.del(of.droplet('strange'));
    await client.set(of.droplet('strange'), 'made by hand');
    const set = { a: 'new', b: 'new' };
    const calls = names.map((droplet, n) => ({ droplet, set, remove: ['c'], log: [`{"n":${n}}`] }));
    const told = await commitAll([...calls, { droplet: 'five', rev: 6, requeueAtMs: 9 }]);
    expect(told).toEqual([1, 0, 1, expect.stringMatching(/^WRONGTYPE /), 1, 1]);
    expect(await client.hgetall(of.droplet('five'))).toEqual({ rev: '6', ...set });
    expect((await logged()).map(([, entry]) => entry)).toEqual(['{"n":0}', '{"n":2}', '{"n":4}']);
    expect(await client.zrange(of.due(0), '0', '-1', 'WITHSCORES')).toEqual(['five', '9']);
  });

  test('what a server does not take for the moment is stored when it does', async () => {
    const { client } = redis();
    await put({ rev: 5, seen: 1 });
    await client.config('SET', 'min-replicas-to-write', '1');
    const told = commit({ set: { a: 'new' } });
    await client.config('SET', 'min-replicas-to-write', '0');
    expect(await told).toBe(1);
    expect(await record()).toEqual({ rev: '6', seen: '1', a: 'new' });
  });

  test('the log does not grow without bound', async () => {
    const { keys: of, scripts } = redis();
    await put({ rev: 5, seen: 1 });
    const log = Array.from({ length: 1000 }, (_, n) => `{"n":${n}}`);
    await scripts.commitDecisions(
      [of.droplet(NAME), of.due(0), of.decisions(0), of.troubled(0)],
      [10, NAME, 5, 1, '', 0, 0, 0, log.length, ...log],
    );
    expect((await logged()).length).toBeLessThan(200);
    expect((await logged()).at(-1)).toEqual(['entry', '{"n":999}']);
  });
});

describe('settle', () => {
  const settle = async (id = 'd1', rev = 5, requeueAtMs = 9000, by = '') => {
    const { keys: of, scripts } = redis();
    const [settled] = await scripts.settleDeliveries(
      [of.droplet(NAME), of.due(0), of.decisions(0)],
      [100, NAME, rev, id, `{"id":"${id}"${by}}`, requeueAtMs, '{"kind":"sent"}'],
    );
    return settled;
  };

  test('stores what became of it, says so in the log, and makes the droplet due', async () => {
    await put({ rev: 5, seen: 1 });
    expect(await settle()).toBe(1);
    expect(await record()).toEqual({ rev: '6', seen: '1', 'outcome:d1': '{"id":"d1"}' });
    expect(await logged()).toEqual([['entry', '{"kind":"sent"}']]);
    expect(await dueAt()).toBe(9000);
  });

  test('of many who hold the same job one wins', async () => {
    await put({ rev: 5, seen: 1 });
    const told = await Promise.all(
      Array.from({ length: 10 }, (_, n) => settle('d1', 5, 9000, `,"by":"${n}"`)),
    );
    expect(told.filter((one) => one === 1)).toHaveLength(1);
    expect(await logged()).toHaveLength(1);
  });

  test('whoever asks once more, as the answer was lost, is told the same, and nothing is done twice', async () => {
    await put({ rev: 5, seen: 1 });
    expect(await settle()).toBe(1);
    expect(await settle()).toBe(1);
    expect((await record()).rev).toBe('6');
    expect(await logged()).toHaveLength(1);
  });

  test.each([
    [500, 500],
    [9001, 9000],
  ])('a look that is due at %i is then due at %i', async (dueMs, then) => {
    await put({ rev: 5, seen: 1 });
    await setDue(dueMs);
    await settle();
    expect(await dueAt()).toBe(then);
  });

  test('on a record that is gone nothing happens', async () => {
    expect(await settle()).toBe(0);
    expect(await record()).toEqual({});
    expect(await dueAt()).toBeUndefined();
  });

  test('of several each is settled or not by itself', async () => {
    const { client, keys: of, scripts } = redis();
    const names = ['one', 'moved', 'strange', 'four'];
    for (const name of names) await client.hset(of.droplet(name), { rev: name === 'moved' ? 6 : 5 });
    await client.del(of.droplet('strange'));
    await client.set(of.droplet('strange'), 'made by hand');
    const told = await scripts.settleDeliveries(
      names.flatMap((name) => [of.droplet(name), of.due(0), of.decisions(0)]),
      [100, ...names.flatMap((name, n) => [name, 5, `d-${name}`, `{"n":${n}}`, 9000 + n, `{"n":${n}}`])],
    );
    expect(told).toEqual([1, 0, expect.stringMatching(/^WRONGTYPE /), 1]);
    expect(await client.hgetall(of.droplet('four'))).toEqual({ rev: '6', 'outcome:d-four': '{"n":3}' });
    expect((await logged()).map(([, entry]) => entry)).toEqual(['{"n":0}', '{"n":3}']);
    expect(await client.zrange(of.due(0), '0', '-1', 'WITHSCORES')).toEqual(['one', '9000', 'four', '9003']);
  });
});

describe('forget', () => {
  const forget = (rev: number) =>
    redis().scripts.removeDroplet(
      [...keys(), redis().keys.decisions(0), redis().keys.troubled(0)],
      [NAME, rev, 100, '{"kind":"removed"}'],
    );

  test('removes all of a droplet, and only that', async () => {
    const { scripts } = redis();
    for (const id of [NAME, 'y']) await scripts.storeUpdate(keys(id), [id, 1000]);
    const { client, keys: of } = redis();
    await client.zadd(of.troubled(0), 1, NAME, 1, 'y');
    expect(await forget(2)).toBe(0);
    expect([await indexed(), await logged()]).toEqual([1, []]);
    expect(await forget(1)).toBe(1);
    expect(await logged()).toEqual([['entry', '{"kind":"removed"}']]);
    expect([await record(), await dueAt(), await indexed()]).toEqual([{}, undefined, 0]);
    expect([await record('y'), await dueAt('y'), await indexed('y')]).toEqual([
      { seen: '1000', updated: '1000', rev: '1' },
      1000,
      1,
    ]);
    expect(await client.zrange(of.troubled(0), '0', '-1')).toEqual(['y']);
    expect(await forget(1)).toBe(0);
  });
});

describe('desired, gone and fence', () => {
  const pass = () => redis().keys.passOf(0);
  const fence = (number: number) => redis().scripts.fencePass([pass()], [number]);
  const desired = (entries: Record<string, string>, { begun = 1000, number = 1, nowMs = 1500 } = {}) =>
    redis().scripts.storeDesired(
      [
        redis().keys.due(0),
        pass(),
        redis().keys.decisions(0),
        ...Object.keys(entries).flatMap((id) => [redis().keys.droplet(id), redis().keys.indexOf(id)]),
      ],
      [
        nowMs,
        begun,
        number,
        Object.entries(entries)
          .map(([id, words]) => `${id}\n${words}\n`)
          .join(''),
        100,
      ],
    );
  const gone = (ids: string[], { last = 900, number = 1, nowMs = 1500 } = {}) =>
    redis().scripts.markGone(
      [redis().keys.due(0), pass(), redis().keys.decisions(0), ...ids.map((id) => redis().keys.droplet(id))],
      [nowMs, last, number, 100, ...ids],
    );

  test('a new droplet gets a record', async () => {
    await fence(1);
    expect(await desired({ x: 'words', y: 'others' })).toBe(2);
    expect(await record('x')).toEqual({ seen: '1500', desired: 'words', rev: '1' });
    expect([await indexed('x'), await dueAt('x'), await indexed('y'), await dueAt('y')]).toEqual([
      1, 1500, 1, 1500,
    ]);
  });

  test('what is as it was costs nothing, and a repetition changes nothing', async () => {
    await fence(1);
    await desired({ x: 'words' });
    await redis().client.del(redis().keys.due(0));
    expect(await desired({ x: 'words' }, { begun: 2000, nowMs: 2500 })).toBe(0);
    expect(await record()).toEqual({ seen: '1500', desired: 'words', rev: '1' });
    expect(await dueAt()).toBeUndefined();
  });

  test('one that is listed but cannot be read keeps its last good words', async () => {
    await fence(1);
    await desired({ x: 'words' });
    expect(await desired({ x: '', y: '' })).toBe(1);
    expect(await record('x')).toEqual({ seen: '1500', desired: 'words', rev: '1' });
    expect(await record('y')).toEqual({ seen: '1500', listed: '1000', rev: '1' });
    expect(await desired({ x: '', y: '' })).toBe(0);
  });

  test('a pass that began after an update ends its wait, once; one that began before does not', async () => {
    await fence(1);
    await desired({ x: 'words' });
    await redis().scripts.storeUpdate(keys(), [NAME, 2000]);
    expect(await desired({ x: 'words' }, { begun: 1999 })).toBe(0);
    expect((await record()).listed).toBeUndefined();
    expect(await desired({ x: 'words' }, { begun: 2001 })).toBe(1);
    expect((await record()).listed).toBe('2001');
    expect(await desired({ x: 'words' }, { begun: 2002 })).toBe(0);
    expect((await record()).listed).toBe('2001');
  });

  test('gone: the first time stays, until it is listed again', async () => {
    await fence(1);
    await desired({ x: 'words' });
    expect(await gone(['x', 'unknown'], { last: 900 })).toBe(1);
    expect(await gone(['x'], { last: 2000 })).toBe(0);
    expect(await record()).toMatchObject({ gone: '900', desired: 'words', rev: '2' });
    expect(await record('unknown')).toEqual({});
    expect(await desired({ x: 'words' })).toBe(1);
    expect(await record()).toEqual({ seen: '1500', desired: 'words', rev: '3' });
  });

  test('one that was listed but never readable is gone too; one that was only heard of is not', async () => {
    await fence(1);
    await desired({ y: '' });
    await redis().scripts.storeUpdate(keys(), [NAME, 2000]);
    expect(await gone(['x', 'y'])).toBe(1);
    expect((await record('y')).gone).toBe('900');
    expect((await record('x')).gone).toBeUndefined();
  });

  test('what it tells of a droplet is in the log, but for a first time and another time stamp', async () => {
    const words = (instances: number, updated: number) =>
      `STARTED ${instances}x STAGED version v 256M updated ${updated}`;
    await fence(1);
    await desired({ x: words(1, 1) });
    await desired({ x: words(1, 2) });
    expect(await logged()).toEqual([]);
    await desired({ x: words(2, 3) });
    await gone(['x']);
    await gone(['x']);
    await desired({ x: words(2, 3) });
    expect((await logged()).map(([, entry]) => JSON.parse(entry as string))).toEqual([
      { atMs: 1500, droplet: 'x', kind: 'desired', was: words(1, 2), is: words(2, 3) },
      { atMs: 1500, droplet: 'x', kind: 'gone', listedMs: 900 },
      { atMs: 1500, droplet: 'x', kind: 'listed' },
    ]);
  });

  test('a pass that is not, or no longer, the one that writes changes nothing', async () => {
    expect(await desired({ x: 'words' })).toBe(-1);
    expect(await fence(1)).toBe(1);
    await desired({ x: 'words' });
    expect(await fence(2)).toBe(1);
    expect(await fence(2)).toBe(1);
    expect(await fence(1)).toBe(0);
    expect(await desired({ x: 'older' })).toBe(-1);
    expect(await gone(['x'])).toBe(-1);
    expect(await record()).toEqual({ seen: '1500', desired: 'words', rev: '1' });
    expect(await desired({ x: 'newer' }, { number: 2 })).toBe(1);
  });

  test('numbers of passes are compared as numbers', async () => {
    expect(await fence(9)).toBe(1);
    expect(await fence(10)).toBe(1);
    expect(await fence(9)).toBe(0);
  });
});
