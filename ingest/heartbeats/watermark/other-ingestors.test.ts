import { describe, expect, test } from 'vitest';
import { publishWatermark } from '../../../common/redis/scripts/fleet/publish-watermark.ts';
import { GAP_MS, useWatermark } from '../../../deploy/verify/fixtures/watermark.ts';

const fixture = useWatermark();

describe('an ingestor whose watermark stands still', () => {
  test('and that does not answer is removed, and one of the others requests heartbeats', async () => {
    fixture.bus.answering.add('healthmanager.ingestor.killed');
    await fixture.context.redis.client.zadd(
      fixture.context.redis.keys.watermarks,
      fixture.context.clock.nowMs(),
      'killed',
    );
    const [a, b] = [fixture.create('a'), fixture.create('b')];
    await a.start();
    await b.start();
    expect(await fixture.ingestors()).toContain('killed');
    fixture.bus.answering.delete('healthmanager.ingestor.killed');
    fixture.context.clock.advance(Math.ceil(GAP_MS / 3) + 1);
    const requested = fixture.bus.published.length;
    await a.publishWatermark();
    await b.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['a', 'b']);
    expect(fixture.bus.published.slice(requested)).toEqual(['healthmanager.start']);
  });

  test('and that still answers stays on the list until a gap, because it swallows its share of the messages', async () => {
    fixture.bus.answering.add('healthmanager.ingestor.stopped');
    await fixture.context.redis.client.zadd(
      fixture.context.redis.keys.watermarks,
      fixture.context.clock.nowMs(),
      'stopped',
    );
    const a = fixture.create('a');
    await a.start();
    fixture.context.clock.advance(GAP_MS - 1);
    await a.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['stopped', 'a']);
  });

  test('and that stops answering only after a gap has swallowed its share until then', async () => {
    fixture.bus.answering.add('healthmanager.ingestor.cut-off');
    await fixture.context.redis.client.zadd(
      fixture.context.redis.keys.watermarks,
      fixture.context.clock.nowMs(),
      'cut-off',
    );
    const a = fixture.create('a');
    await a.start();
    fixture.context.clock.advance(GAP_MS);
    await a.publishWatermark();
    fixture.bus.answering.delete('healthmanager.ingestor.cut-off');
    const nowMs = fixture.context.clock.advance(1);
    await a.publishWatermark();
    expect(await fixture.streak()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
    expect(await fixture.ingestors()).toEqual(['a']);
  });

  test('and that still answers is listed again with its last watermark after Redis loses its data', async () => {
    const { client, keys } = fixture.context.redis;
    fixture.bus.answering.add('healthmanager.ingestor.stopped');
    const lastWatermarkMs = fixture.context.clock.nowMs();
    await client.zadd(keys.watermarks, lastWatermarkMs, 'stopped');
    const a = fixture.create('a');
    await a.start();
    fixture.context.clock.advance(1000);
    await client.flushall();
    const nowMs = fixture.context.clock.advance(1000);
    await a.publishWatermark();
    expect(await client.zrange(keys.watermarks, '0', '-1', 'WITHSCORES')).toEqual([
      ...['stopped', `${lastWatermarkMs}`],
      ...['a', `${nowMs}`],
    ]);
  });

  test.each([
    ['stops', async () => fixture.context.redis.client.zrem(fixture.context.redis.keys.watermarks, 'other')],
    ['is killed when Redis loses its data', async () => fixture.context.redis.client.flushall()],
  ])('and that %s is not listed again', async (_, leave) => {
    fixture.bus.answering.add('healthmanager.ingestor.other');
    await fixture.context.redis.client.zadd(
      fixture.context.redis.keys.watermarks,
      fixture.context.clock.nowMs(),
      'other',
    );
    const a = fixture.create('a');
    await a.start();
    fixture.bus.answering.delete('healthmanager.ingestor.other');
    await leave();
    await a.publishWatermark();
    await a.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['a']);
  });

  test('is taken over from after a gap, whether it answers or not: all others join a new generation', async () => {
    const { client, keys } = fixture.context.redis;
    const [a, b, stopped] = [fixture.create('a'), fixture.create('b'), fixture.create('stopped')];
    for (const ingestor of [a, b]) await ingestor.start();
    fixture.bus.answering.add('healthmanager.ingestor.stopped');
    await stopped.publishWatermark();
    const stoppedMs = fixture.context.clock.nowMs();
    while (fixture.context.clock.nowMs() < stoppedMs + GAP_MS + 250) {
      fixture.context.clock.advance(250);
      await a.publishWatermark();
      await b.publishWatermark();
    }
    const takenOverMs = fixture.context.clock.nowMs();
    for (const ingestor of [a, b, a, b]) await ingestor.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['a', 'b']);
    expect(['a', 'b'].map((id) => fixture.generationOf(id))).toEqual([1, 1]);
    expect(await fixture.streak()).toEqual({ since: `${takenOverMs}`, until: `${takenOverMs}` });
    expect(await client.hget(keys.listening, 'gaps')).toBe(`${stoppedMs} ${takenOverMs}`);
    const logged = fixture.context.lines.filter(({ event }) => event === 'ingestor_taken_over');
    expect(logged).toEqual([expect.objectContaining({ ingestor: 'stopped', ingestorPid: process.pid })]);

    expect(fixture.generationOf('stopped')).toBe(0);
    await stopped.publishWatermark();
    expect(fixture.generationOf('stopped')).toBe(1);
    expect(await fixture.ingestors()).toEqual(['a', 'b', 'stopped']);
    expect(await fixture.streak()).toMatchObject({ since: `${takenOverMs}` });
  });

  test.each([
    ['is taken over from, if it answers', true, 1],
    ['is removed, if it does not', false, 0],
  ])('before its first watermark, but has joined the queue group, %s', async (_, answers, generation) => {
    const a = fixture.create('a');
    await a.start();
    const { redis, clock } = fixture.context;
    const joinedMs = clock.nowMs();
    // What an ingestor writes before it joins. From here on it stands still.
    const stopped = { ingestor: 'stopped', host: 'some-host', pid: 42, nowMs: joinedMs, gapMs: GAP_MS };
    const nothing = {
      silenceMs: GAP_MS / 2,
      keepGapsMs: GAP_MS,
      mayHaveLost: false,
      mayTakeOver: false,
      gone: [],
    };
    expect(await publishWatermark(redis, { ...stopped, ...nothing })).toMatchObject({ generation: 0 });
    if (answers) fixture.bus.answering.add('healthmanager.ingestor.stopped');
    fixture.bus.published.length = 0;
    while (clock.nowMs() < joinedMs + GAP_MS + 250) {
      clock.advance(250);
      await a.publishWatermark();
    }
    expect(fixture.generationOf('a')).toBe(generation);
    expect(await redis.client.hkeys(redis.keys.ingestors)).toEqual(['a']);
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
    const gaps = answers ? `${joinedMs} ${clock.nowMs()}` : null;
    expect(await redis.client.hget(redis.keys.listening, 'gaps')).toBe(gaps);
  });

  test('is not taken over from by one that has been silent itself', async () => {
    const [a, b] = [fixture.create('a'), fixture.create('b')];
    for (const ingestor of [a, b]) await ingestor.start();
    fixture.context.clock.advance(3 * GAP_MS);
    for (const ingestor of [a, a, b, b]) await ingestor.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['a', 'b']);
    expect(fixture.generationOf('a')).toBe(0);
  });
});
