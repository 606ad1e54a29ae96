import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { deploymentTime } from './deployment-time.ts';
import { publishWatermark, type Watermark } from './publish-watermark.ts';

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
      mayHaveLost: false,
      gone: [],
      ...more,
    });
  const sinceMs = async (nowMs: number, ingestor = 'a') => (await publish(nowMs, ingestor)).sinceMs;
  const mayBeLost = async (nowMs: number, ingestor = 'a') => (await publish(nowMs, ingestor)).mayBeLost;
  const result = (since: number, lost: boolean, ...removed: string[]) => ({
    sinceMs: since,
    mayBeLost: lost,
    removed,
  });
  const signOff = (ingestor: string) => redis().client.zrem(redis().keys.watermarks, ingestor);
  const state = () => redis().client.hgetall(redis().keys.listening);

  test('the first watermark begins the streak; those that follow in time continue it', async () => {
    expect(await sinceMs(1000)).toBe(1000);
    expect(await sinceMs(1000 + GAP)).toBe(1000);
    expect(await state()).toEqual({
      since: '1000',
      until: `${1000 + GAP}`,
      loss_possible_until: `${1000 + GAP}`,
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
    expect(await sinceMs(2000)).toBe(2000);
  });
});

test('time is that of Redis', async () => {
  const nowMs = await deploymentTime(redis());
  const [seconds] = (await redis().client.time()).map(Number);
  expect(Math.abs(nowMs / 1000 - (seconds as number))).toBeLessThanOrEqual(2);
});
