import { beforeEach, describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { deploymentTime } from './deployment-time.ts';
import { publishWatermark, type Watermark } from './publish-watermark.ts';
import { readFleetFacts } from './read-fleet-facts.ts';
import { removeMistyped } from './remove-mistyped.ts';

const of = useRedis();
const redis = () => of.context.redis;

describe('publish_watermark', () => {
  const GAP = 10_000;
  const SILENCE = 3_000;
  const publish = (nowMs: number, ingestor = 'a', more: Partial<Watermark> = {}) =>
    publishWatermark(redis(), {
      ingestor,
      nowMs,
      watermarkMs: nowMs,
      gapMs: GAP,
      silenceMs: SILENCE,
      keepGapsMs: 1_000_000,
      host: `host-of-${ingestor}`,
      pid: 7,
      generation: 0,
      mayHaveLost: false,
      mayTakeOver: false,
      gone: [],
      ...more,
    });
  // An ingestor asks for the generation before it joins one.
  const begin = async () => {
    await publish(0, 'first', { generation: undefined });
    await redis().client.del(redis().keys.ingestors);
  };
  beforeEach(begin);
  const sinceMs = async (nowMs: number, ingestor = 'a') => (await publish(nowMs, ingestor)).sinceMs;
  const mayBeLost = async (nowMs: number, ingestor = 'a') => (await publish(nowMs, ingestor)).mayBeLost;
  const result = (since: number, lost: boolean, ...removed: string[]) => ({
    generation: 0,
    sinceMs: since,
    mayBeLost: lost,
    removed,
    takenOver: [],
  });
  const signOff = (ingestor: string) => redis().client.zrem(redis().keys.watermarks, ingestor);
  const state = () => redis().client.hgetall(redis().keys.listening);

  test('the first watermark begins the streak; those that follow in time continue it', async () => {
    expect(await sinceMs(1000)).toBe(1000);
    expect(await sinceMs(1000 + GAP)).toBe(1000);
    expect(await state()).toEqual({
      begun: '1000',
      since: '1000',
      until: `${1000 + GAP}`,
      loss_possible_until: `${1000 + GAP}`,
      generation: '0',
      joined: '0',
    });
    expect(await redis().client.zrange(redis().keys.watermarks, '0', '-1', 'WITHSCORES')).toEqual([
      'a',
      `${1000 + GAP}`,
    ]);
  });

  test('the watermark is stored, and one that is too far behind begins the streak anew', async () => {
    const { keys, client } = redis();
    const behind = (nowMs: number, watermarkMs: number) => publish(nowMs, 'a', { watermarkMs });
    await behind(2000, 1000);
    expect(await client.zscore(keys.watermarks, 'a')).toBe('1000');
    expect(await behind(1000 + GAP, 1000)).toEqual(result(2000, true));
    expect(await behind(1001 + GAP, 1000 + GAP)).toEqual(result(1001 + GAP, true));
  });

  test('a silence of all ingestors longer than the gap begins the streak anew', async () => {
    await sinceMs(1000);
    expect(await sinceMs(1001 + GAP, 'b')).toBe(1001 + GAP);
  });

  test('other ingestors bridge a short restart', async () => {
    await sinceMs(1000, 'a');
    await sinceMs(1000 + GAP, 'b');
    await signOff('a');
    expect(await sinceMs(1500 + GAP, 'a2')).toBe(1000);
  });

  test('an ingestor that was silent without signing off makes a gap, whatever the others did', async () => {
    await sinceMs(1000, 'a');
    for (let time = 2000; time <= 12_000; time += 2000) expect(await sinceMs(time, 'b')).toBe(1000);
    expect(await sinceMs(1001 + GAP, 'a')).toBe(1001 + GAP);
    expect(await sinceMs(12_500, 'b')).toBe(1001 + GAP);
  });

  test('an ingestor that is gone is removed; it makes a gap only after a silence longer than the gap', async () => {
    for (const ingestor of ['a', 'killed', 'cut off']) await sinceMs(1000, ingestor);
    for (const nowMs of [4000, 7000, 10_000]) await sinceMs(nowMs);
    expect(await publish(1000 + GAP, 'a', { gone: ['killed'] })).toEqual(result(1000, true, 'killed'));
    expect(await publish(1000 + GAP, 'b', { gone: ['killed'] })).toEqual(result(1000, false));
    expect(await publish(1001 + GAP, 'a', { gone: ['cut off', 'killed'] })).toEqual(
      result(1001 + GAP, true, 'cut off'),
    );
    expect(await sinceMs(1002 + GAP, 'b')).toBe(1001 + GAP);
    expect(await redis().client.zrange(redis().keys.watermarks, '0', '-1')).toEqual(['a', 'b']);
  });

  test('no heartbeat can be lost while one ingestor listens, however many come and go', async () => {
    expect(await mayBeLost(1000)).toBe(true); // no ingestor listened before
    expect(await mayBeLost(1000 + SILENCE)).toBe(false);
    expect(await mayBeLost(5000, 'b')).toBe(false);
    await signOff('a');
    expect(await mayBeLost(6000, 'c')).toBe(false);
    expect(await mayBeLost(6500, 'b')).toBe(false);
  });

  test('a quick restart of all ingestors may lose heartbeats, but is no gap', async () => {
    await sinceMs(1000);
    await signOff('a');
    expect(await publish(1001, 'a2')).toEqual(result(1000, true));
    expect(await publish(1002, 'b2')).toEqual(result(1000, false));
  });

  test('heartbeats may be lost when no ingestor published in time', async () => {
    await sinceMs(1000, 'a');
    await sinceMs(1000, 'b');
    expect(await publish(1001 + SILENCE, 'a')).toEqual(result(1000, true));
    expect(await publish(1001 + SILENCE, 'b')).toEqual(result(1000, false));
  });

  test('an ingestor may report that it lost heartbeats; the time is stored', async () => {
    await sinceMs(1000);
    expect(await state()).toMatchObject({ loss_possible_until: '1000' });
    expect(await mayBeLost(2000)).toBe(false);
    expect(await state()).toMatchObject({ loss_possible_until: '1000' });
    expect(await publish(3000, 'a', { mayHaveLost: true })).toEqual(result(1000, true));
    expect(await state()).toMatchObject({ loss_possible_until: '3000' });
  });

  test('heartbeats may be lost in a gap of one ingestor, though others listened', async () => {
    await sinceMs(1000, 'a');
    for (let time = 2000; time <= 11_000; time += 1000) expect(await mayBeLost(time, 'b')).toBe(false);
    expect(await mayBeLost(1001 + GAP, 'a')).toBe(true);
  });

  test('a late watermark does not set the time back', async () => {
    await sinceMs(1000, 'a');
    await sinceMs(3000, 'a');
    expect(await sinceMs(2000, 'b')).toBe(1000);
    expect((await state()).until).toBe('3000');
  });

  test('a repetition changes nothing', async () => {
    await sinceMs(1000);
    const once = await state();
    expect(await sinceMs(1000)).toBe(1000);
    expect(await state()).toEqual(once);
  });

  test('after a loss of data the streak begins anew', async () => {
    await sinceMs(1000);
    await redis().client.flushall();
    expect((await publish(2000, 'a', { generation: 1 })).generation).toBe(2);
    expect((await publish(2000, 'a', { generation: 2 })).sinceMs).toBe(2000);
  });

  describe('gaps', () => {
    const gaps = async () => (await readFleetFacts(redis())).listeningGaps ?? [];

    test('a gap lasts from the end of the streak to the watermark that begins a new one', async () => {
      await publish(1000);
      expect(await gaps()).toEqual([]);
      await publish(1000 + GAP);
      await publish(1001 + 2 * GAP);
      expect(await gaps()).toEqual([{ fromMs: 1000 + GAP, toMs: 1001 + 2 * GAP }]);
    });

    test('the gap of one ingestor begins with its watermark', async () => {
      await publish(1000, 'a');
      for (let time = 2000; time <= 11_000; time += 1000) await publish(time, 'b');
      await publish(1001 + GAP, 'a');
      expect(await gaps()).toEqual([{ fromMs: 1000, toMs: 1001 + GAP }]);
    });

    test('gaps that overlap are one', async () => {
      await publish(1000, 'a');
      for (let time = 2000; time <= 20_000; time += 2000) await publish(time, 'b');
      await publish(40_000, 'b');
      expect(await gaps()).toEqual([{ fromMs: 20_000, toMs: 40_000 }]);
      await publish(40_000, 'a');
      expect(await gaps()).toEqual([{ fromMs: 1000, toMs: 40_000 }]);
    });

    test('a gap is dropped after enough listening time, and their number is bounded', async () => {
      let nowMs = 1000;
      const next = (pauseMs: number, more: Partial<Watermark> = {}) => {
        nowMs += pauseMs;
        return publish(nowMs, 'a', more);
      };
      await next(0);
      await next(GAP + 1);
      for (let i = 0; i < 10; i++) await next(GAP);
      await next(GAP + 1, { keepGapsMs: 10 * GAP });
      expect(await gaps()).toHaveLength(2);
      await next(1);
      await next(GAP + 1, { keepGapsMs: 10 * GAP });
      expect(await gaps()).toHaveLength(2);
      for (let i = 0; i < 100; i++) {
        await next(GAP + 1);
        await next(1);
      }
      const kept = await gaps();
      expect(kept).toHaveLength(64);
      expect(kept[0]?.fromMs).toBeLessThan(20 * GAP);
    });

    test('text that is no list of gaps counts as none', async () => {
      await publish(1000);
      await redis().client.hset(
        redis().keys.listening,
        'gaps',
        'soon 12 x 5 3 99999999999999 999999999999999',
      );
      await publish(1001 + GAP);
      expect(await gaps()).toEqual([{ fromMs: 1000, toMs: 1001 + GAP }]);
    });
  });

  describe('a peer that stands still', () => {
    const listed = () => redis().client.zrange(redis().keys.watermarks, '0', '-1');
    const facts = () => readFleetFacts(redis());

    test('is taken over from: the generation grows by one, and the gap ends when the new group has a member', async () => {
      for (const ingestor of ['a', 'b', 'stopped']) await publish(1000, ingestor);
      for (const ingestor of ['a', 'b']) await publish(1000 + GAP, ingestor, { mayTakeOver: true });
      expect(await listed()).toContain('stopped');
      for (const ingestor of ['a', 'b']) await publish(1001 + GAP, ingestor);
      expect(await listed()).toContain('stopped');
      expect(await publish(1002 + GAP, 'a', { mayTakeOver: true })).toEqual({
        generation: 1,
        mayBeLost: true,
        removed: [],
        takenOver: [{ ingestor: 'stopped', host: 'host-of-stopped', pid: 7 }],
      });
      expect(await facts()).toMatchObject({
        listening: { sinceMs: 1002 + GAP },
        listeningGaps: [{ fromMs: 1000, toMs: 1002 + GAP }],
        takenOver: { ingestor: 'stopped', host: 'host-of-stopped', pid: 7, atMs: 1002 + GAP },
      });
      const before = await state();
      for (const ingestor of ['a', 'b', 'stopped'])
        expect(await publish(1100 + GAP, ingestor, { mayTakeOver: true })).toMatchObject({ generation: 1 });
      expect(await state()).toEqual(before);
      expect(await listed()).toEqual(['a', 'b']);
      await publish(1200 + GAP, 'b', { generation: 1 });
      await publish(1300 + GAP, 'a', { generation: 1 });
      expect(await facts()).toMatchObject({
        listening: { sinceMs: 1200 + GAP, untilMs: 1300 + GAP },
        listeningGaps: [{ fromMs: 1000, toMs: 1200 + GAP }],
      });
    });

    test('that comes back and joins the new generation makes no gap', async () => {
      for (const ingestor of ['a', 'stopped']) await publish(1000, ingestor);
      await publish(1001 + GAP, 'a', { mayTakeOver: true });
      await publish(1002 + GAP, 'a', { generation: 1 });
      await publish(1003 + 2 * GAP, 'a', { generation: 1 });
      const since = (await state()).since;
      await publish(1004 + 2 * GAP, 'stopped', { generation: 1 });
      expect((await state()).since).toBe(since);
      expect(await listed()).toEqual(['a', 'stopped']);
    });

    test('is not one that publishes, however old its backlog', async () => {
      for (const ingestor of ['a', 'busy']) await publish(1000, ingestor);
      await publish(900 + GAP, 'busy', { watermarkMs: undefined });
      expect(await publish(1001 + GAP, 'a', { mayTakeOver: true })).toMatchObject({ takenOver: [] });
      expect(await publish(1001 + 2 * GAP, 'a', { mayTakeOver: true })).toMatchObject({ generation: 1 });
    });

    test('when Redis lost the generation, the next one begins, for an ingestor that stands still may be lost with it', async () => {
      await redis().client.hset(redis().keys.listening, 'generation', 5);
      await publish(1000, 'a', { generation: 5 });
      expect(await publish(2000, 'b')).toMatchObject({ generation: 5 });
      await redis().client.flushall();
      // One that has just started knows none.
      expect(await publish(3000, 'new', { generation: undefined })).toMatchObject({ generation: 0 });
      for (const ingestor of ['a', 'b'])
        expect(await publish(3000, ingestor, { generation: 5 })).toEqual({
          ...{ generation: 6, mayBeLost: false, removed: [], takenOver: [] },
        });
      expect(await publish(3100, 'b', { generation: 6 })).toMatchObject({ generation: 6, sinceMs: 3100 });
      expect(await publish(3200, 'new', { generation: 0 })).toMatchObject({ generation: 6 });
    });
  });
});

test('a key that has the right type by now is not removed', async () => {
  await redis().client.hset('key', 'field', 'value');
  expect(await removeMistyped(redis(), 'key', 'hash')).toBe(false);
  expect(await removeMistyped(redis(), 'key', 'zset')).toBe(true);
  expect(await removeMistyped(redis(), 'key', 'zset')).toBe(false);
});

test('time is that of Redis', async () => {
  const nowMs = await deploymentTime(redis());
  const [seconds] = (await redis().client.time()).map(Number);
  expect(Math.abs(nowMs / 1000 - (seconds as number))).toBeLessThanOrEqual(2);
});
