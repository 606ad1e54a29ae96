import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';

const of = useRedis();
const redis = () => of.context.redis;

describe('listening', () => {
  const GAP = 10_000;
  const SILENCE = 3_000;
  const word = (nowMs: number, ingestor = 'a', ...gone: string[]) =>
    redis().scripts.publishWatermark(
      [redis().keys.listening, redis().keys.ingestors],
      [nowMs, ingestor, GAP, SILENCE, nowMs, '', ...gone],
    );
  const say = async (nowMs: number, ingestor = 'a') => Number((await word(nowMs, ingestor))[0]);
  const isMissed = async (nowMs: number, ingestor = 'a') => (await word(nowMs, ingestor))[1] === '1';
  const signOff = (ingestor: string) => redis().client.zrem(redis().keys.ingestors, ingestor);
  const state = () => redis().client.hgetall(redis().keys.listening);

  test('the first word begins it; those that follow in time go on with it', async () => {
    expect(await say(1000)).toBe(1000);
    expect(await say(1000 + GAP)).toBe(1000);
    expect(await state()).toEqual({ since: '1000', until: `${1000 + GAP}`, missed: `${1000 + GAP}` });
    expect(await redis().client.zrange(redis().keys.ingestors, '0', '-1', 'WITHSCORES')).toEqual([
      'a',
      `${1000 + GAP}`,
    ]);
  });

  test('the list says until when each has stored all that it heard; one that is too far behind begins it anew', async () => {
    const { scripts, keys, client } = redis();
    const behind = (nowMs: number, storedMs: number) =>
      scripts.publishWatermark([keys.listening, keys.ingestors], [nowMs, 'a', GAP, SILENCE, storedMs, '']);
    await behind(2000, 1000);
    expect(await client.zscore(keys.ingestors, 'a')).toBe('1000');
    expect(await behind(1000 + GAP, 1000)).toEqual(['2000', '1']);
    expect(await behind(1001 + GAP, 1000 + GAP)).toEqual([`${1001 + GAP}`, '1']);
  });

  test('no word of anybody for longer than the gap begins it anew', async () => {
    await say(1000);
    expect(await say(1001 + GAP, 'b')).toBe(1001 + GAP);
  });

  test('others bridge a short restart', async () => {
    await say(1000, 'a');
    await say(1000 + GAP, 'b');
    await signOff('a');
    expect(await say(1500 + GAP, 'a2')).toBe(1000);
  });

  test('one that was silent without signing off swallowed what it got: a gap, whoever else spoke', async () => {
    await say(1000, 'a');
    for (let time = 2000; time <= 12_000; time += 2000) expect(await say(time, 'b')).toBe(1000);
    expect(await say(1001 + GAP, 'a')).toBe(1001 + GAP);
    expect(await say(12_500, 'b')).toBe(1001 + GAP);
  });

  test('one that is gone is taken off the list; a gap only if it was silent for longer before it was found to be', async () => {
    for (const ingestor of ['a', 'killed', 'cut off']) await say(1000, ingestor);
    for (const nowMs of [4000, 7000, 10_000]) await say(nowMs);
    expect(await word(1000 + GAP, 'a', 'killed')).toEqual(['1000', '1', 'killed']);
    expect(await word(1000 + GAP, 'b', 'killed')).toEqual(['1000', '']);
    expect(await word(1001 + GAP, 'a', 'cut off', 'killed')).toEqual([`${1001 + GAP}`, '1', 'cut off']);
    expect(await say(1002 + GAP, 'b')).toBe(1001 + GAP);
    expect(await redis().client.zrange(redis().keys.ingestors, '0', '-1')).toEqual(['a', 'b']);
  });

  test('nothing is missed while one listens, however many come and go', async () => {
    expect(await isMissed(1000)).toBe(true); // nobody did before
    expect(await isMissed(1000 + SILENCE)).toBe(false);
    expect(await isMissed(5000, 'b')).toBe(false);
    await signOff('a');
    expect(await isMissed(6000, 'c')).toBe(false);
    expect(await isMissed(6500, 'b')).toBe(false);
  });

  test('something may be missed when all were restarted, however quickly, and that is no gap', async () => {
    await say(1000);
    await signOff('a');
    expect(await word(1001, 'a2')).toEqual(['1000', '1']);
    expect(await word(1002, 'b2')).toEqual(['1000', '']);
  });

  test('something may be missed when none had a word in time', async () => {
    await say(1000, 'a');
    await say(1000, 'b');
    expect(await word(1001 + SILENCE, 'a')).toEqual(['1000', '1']);
    expect(await word(1001 + SILENCE, 'b')).toEqual(['1000', '']);
  });

  test('something may be missed by one that says so; the state tells when that last was', async () => {
    const { scripts, keys } = redis();
    await say(1000);
    expect(await state()).toMatchObject({ missed: '1000' });
    expect(await isMissed(2000)).toBe(false);
    expect(await state()).toMatchObject({ missed: '1000' });
    const [since, missed] = await scripts.publishWatermark(
      [keys.listening, keys.ingestors],
      [3000, 'a', GAP, SILENCE, 3000, '1'],
    );
    expect([since, missed]).toEqual(['1000', '1']);
    expect(await state()).toMatchObject({ missed: '3000' });
  });

  test('something may be missed in a gap: one was stopped, others were not', async () => {
    await say(1000, 'a');
    for (let time = 2000; time <= 11_000; time += 1000) expect(await isMissed(time, 'b')).toBe(false);
    expect(await isMissed(1001 + GAP, 'a')).toBe(true);
  });

  test('a word that comes late does not turn the time back', async () => {
    await say(1000, 'a');
    await say(3000, 'a');
    expect(await say(2000, 'b')).toBe(1000);
    expect((await state()).until).toBe('3000');
  });

  test('can be repeated', async () => {
    await say(1000);
    const once = await state();
    expect(await say(1000)).toBe(1000);
    expect(await state()).toEqual(once);
  });

  test('a Redis that lost its data begins anew', async () => {
    await say(1000);
    await redis().client.flushall();
    expect(await say(2000)).toBe(2000);
  });
});

test('time is that of Redis', async () => {
  const nowMs = Number(await redis().scripts.deploymentTime([redis().keys.clock], ['']));
  const [seconds] = (await redis().client.time()).map(Number);
  expect(Math.abs(nowMs / 1000 - (seconds as number))).toBeLessThanOrEqual(2);
});

describe('passes of the sync', () => {
  const state = () => redis().keys.syncState;
  const begin = (nowMs: number, who = 'a') => redis().scripts.beginPass([state()], [nowMs, who]);
  const report = (pass: string, hash: string, ...fields: string[]) =>
    redis().scripts.reportPass([state(), hash], [pass, ...fields]);

  test('each has a larger number than all before it, also after a loss of data', async () => {
    expect(await begin(1000)).toBe('1000');
    expect(await begin(1000)).toBe('1001');
    expect(await begin(900, 'b')).toBe('1002');
    expect(await redis().client.hgetall(state())).toEqual({ pass: '1002', begun: '900', owner: 'b' });
    await redis().client.flushall();
    expect(Number(await begin(2000))).toBe(2000);
    expect(await begin(1_700_000_000_000)).toBe('1700000000000');
  });

  test('only the latest may report; an empty value removes the field', async () => {
    const first = await begin(1000);
    expect(await report(first, state(), 'failed', '1', 'error', 'x')).toBe(1);
    expect(await report(first, redis().keys.holds, 'mass_delete', '{}')).toBe(1);
    const second = await begin(2000);
    expect(await report(first, state(), 'completed', '1000')).toBe(0);
    expect(await report(second, state(), 'completed', '2000', 'error', '')).toBe(1);
    expect(await redis().client.hgetall(state())).toEqual({
      pass: '2000',
      begun: '2000',
      owner: 'a',
      failed: '1',
      completed: '2000',
    });
    expect(await redis().client.hgetall(redis().keys.holds)).toEqual({ mass_delete: '{}' });
    await redis().client.flushall();
    expect(await report(second, state(), 'completed', '2000')).toBe(0);
    expect(await redis().client.hgetall(state())).toEqual({});
  });
});

describe('store_pages', () => {
  const store = (pass: number, pages: [number, string[]][], missing: string[], found: string[]) => {
    const { keys, scripts } = redis();
    return scripts.storePages(
      [keys.syncPass, keys.syncMissing, ...pages.map(([number]) => keys.syncPage(number))],
      [pass, ...pages.flatMap(([, fields]) => fields), missing.length, ...missing, ...found],
    );
  };
  const page = (name: string) => [name, `token ${name}`, '2', '0', `entries ${name}`];
  const NONE = ['', '', '', '', ''];

  test('pages, and who is on none of them, change together', async () => {
    const { client, keys } = redis();
    await client.set(keys.syncPass, 1);
    expect(
      await store(
        1,
        [
          [1, page('a')],
          [2, page('b')],
        ],
        ['x', 'y'],
        [],
      ),
    ).toBe(1);
    expect(await client.hgetall(keys.syncPage(2))).toEqual({
      sha1: 'b',
      token: 'token b',
      count: '2',
      rejected: '0',
      entries: 'entries b',
    });
    const call = () =>
      store(
        1,
        [
          [1, page('a2')],
          [2, NONE],
        ],
        ['z'],
        ['x'],
      );
    for (let time = 0; time < 2; time++) {
      expect(await call()).toBe(1);
      expect((await client.smembers(keys.syncMissing)).sort()).toEqual(['y', 'z']);
      expect(await client.hget(keys.syncPage(1), 'sha1')).toBe('a2');
      expect(await client.exists(keys.syncPage(2))).toBe(0);
    }
  });

  test('a pass that is not the one that writes changes nothing', async () => {
    const { client, keys } = redis();
    await client.set(keys.syncPass, 2);
    expect(await store(1, [[1, page('a')]], ['x'], [])).toBe(-1);
    expect(await client.exists(keys.syncPage(1), keys.syncMissing)).toBe(0);
  });
});
