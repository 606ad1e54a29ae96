import { describe, expect, test, vi } from 'vitest';
import { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { interceptScripts } from '../../../common/testing/redis/scripts.ts';
import { FakeBus, FakeIntake, GAP_MS, useWatermark } from '../../../deploy/verify/fixtures/watermark.ts';

const fixture = useWatermark();

describe('an ingestor', () => {
  test('that starts publishes a watermark and requests heartbeats of all DEAs', async () => {
    await fixture.create('a').start();
    const nowMs = fixture.context.clock.nowMs();
    expect(await fixture.streak()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
    expect(fixture.bus.payloads).toEqual(['{}']);
    expect(fixture.bus.answering).toEqual(
      new Set(['healthmanager.ingestor.a', 'healthmanager.ingestors.hm.default']),
    );
  });

  test('that stops during a write is not on the list afterwards', async () => {
    const a = fixture.create('a');
    await a.start();
    const held: (() => void)[] = [];
    fixture.bus.flush = () => new Promise((resolve) => held.push(resolve));
    const publishing = a.publishWatermark();
    let stopped = false;
    const stopping = fixture.lifecycle.stop().then(() => {
      stopped = true;
    });
    // Round trips to NATS end in reverse order.
    while (!stopped) {
      held.pop()?.();
      await new Promise(setImmediate);
    }
    for (const answer of held) answer();
    await Promise.all([publishing, stopping]);
    expect(await fixture.ingestors()).toEqual([]);
  });

  test('that continues publishes watermarks and requests nothing', async () => {
    const since = fixture.context.clock.nowMs();
    const a = fixture.create('a');
    await a.start();
    fixture.context.clock.advance(GAP_MS / 2);
    await a.publishWatermark();
    expect(await fixture.streak()).toEqual({ since: `${since}`, until: `${since + GAP_MS / 2}` });
    expect(fixture.bus.published).toHaveLength(1);
  });

  test('that paused requests heartbeats again, even after less than a gap', async () => {
    const since = fixture.context.clock.nowMs();
    const a = fixture.create('a');
    await a.start();
    fixture.context.clock.advance(GAP_MS / 2 + 1);
    await a.publishWatermark();
    expect(await fixture.streak()).toMatchObject({ since: `${since}` });
    expect(fixture.bus.published).toEqual(Array(2).fill('healthmanager.start'));
  });

  test.each([
    ['stopped', []],
    ['was killed', ['killed']],
  ])('that follows one that %s just before requests heartbeats, without a gap', async (_, left) => {
    const since = fixture.context.clock.nowMs();
    const { client, keys } = fixture.context.redis;
    await client.hset(keys.listening, { since, until: since });
    for (const other of left) await client.zadd(keys.watermarks, since, other);
    fixture.context.clock.advance(1);
    await fixture.create('a').start();
    await fixture.create('b').start();
    expect(await fixture.streak()).toMatchObject({ since: `${since}` });
    expect(await fixture.ingestors()).toEqual(['a', 'b']);
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
  });

  test('requests heartbeats later if NATS refuses the first request', async () => {
    const a = fixture.create('a');
    fixture.bus.publish = () => {
      throw new Error('connection lost');
    };
    await a.start();
    fixture.bus.publish = FakeBus.prototype.publish;
    await a.publishWatermark();
    await a.publishWatermark();
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
  });

  test('that lost NATS, however briefly, requests heartbeats again', async () => {
    const a = fixture.create('a');
    await a.start();
    const startedMs = fixture.context.clock.nowMs();
    fixture.bus.published.length = 0;
    const backMs = fixture.context.clock.advance(300);
    await a.publishWatermark();
    expect(await fixture.possibleLossMs()).toBe(startedMs);
    fixture.bus.restore();
    await a.publishWatermark();
    expect(await fixture.possibleLossMs()).toBe(backMs);
    fixture.context.clock.advance(300);
    await a.publishWatermark();
    expect(await fixture.possibleLossMs()).toBe(backMs);
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
  });

  test('that joins others requests nothing', async () => {
    await fixture.create('a').start();
    fixture.context.clock.advance(1000);
    await fixture.create('b').start();
    expect(fixture.bus.published).toHaveLength(1);
    expect(await fixture.ingestors()).toEqual(['a', 'b']);
  });

  test('that was disconnected for longer than a gap starts a new streak', async () => {
    const a = fixture.create('a');
    await a.start();
    fixture.bus.isConnected = false;
    const since = fixture.context.clock.advance(GAP_MS + 1);
    await a.publishWatermark();
    expect((await fixture.streak()).until).not.toBe(`${since}`);
    fixture.bus.isConnected = true;
    await a.publishWatermark();
    expect(await fixture.streak()).toEqual({ since: `${since}`, until: `${since}` });
    expect(fixture.bus.published).toHaveLength(2);
  });

  test('publishes nothing without a successful round trip to NATS', async () => {
    const a = fixture.create('a');
    fixture.bus.flush = () => Promise.reject(new Error('connection lost'));
    await a.start();
    expect(await fixture.streak()).toEqual({});
    fixture.bus.flush = async () => undefined;
    await a.publishWatermark();
    expect(await fixture.streak()).toMatchObject({ since: `${fixture.context.clock.nowMs()}` });
  });

  test('publishes the time of its request to NATS, reduced by the age of its backlog', async () => {
    const { client, keys } = fixture.context.redis;
    const watermarkMs = async () => Number(await client.zscore(keys.watermarks, 'a'));
    const a = fixture.create('a');
    const askedMs = fixture.context.clock.nowMs();
    fixture.bus.flush = async () => void fixture.context.clock.advance(30);
    await a.start();
    expect(await watermarkMs()).toBe(askedMs);
    fixture.backlogAgeMs = 800;
    await a.publishWatermark();
    expect(await watermarkMs()).toBe(fixture.context.clock.nowMs() - 800);
  });

  test('that loses NATS again during a write records that loss too', async () => {
    const { redis } = fixture.context;
    const a = fixture.create('a');
    await a.start();
    fixture.bus.published.length = 0;
    let isFirst = true;
    const restore = interceptScripts(redis, ['publish_watermark'], async (run) => {
      const result = await run();
      if (isFirst) fixture.bus.restore();
      isFirst = false;
      return result;
    });
    fixture.bus.restore();
    await a.publishWatermark();
    const backMs = fixture.context.clock.advance(300);
    await a.publishWatermark();
    restore();
    expect(await fixture.possibleLossMs()).toBe(backMs);
    expect(fixture.bus.published).toEqual(Array(2).fill('healthmanager.start'));
  });

  test('with too old a backlog publishes nothing, and starts a new streak when it has caught up', async () => {
    const since = fixture.context.clock.nowMs();
    const a = fixture.create('a');
    await a.start();
    fixture.backlogAgeMs = GAP_MS;
    fixture.context.clock.advance(GAP_MS);
    await a.publishWatermark();
    expect(await fixture.streak()).toEqual({ since: `${since}`, until: `${since + GAP_MS}` });

    fixture.backlogAgeMs = GAP_MS + 1;
    fixture.context.clock.advance(GAP_MS + 1);
    await a.publishWatermark();
    expect(await fixture.streak()).toEqual({ since: `${since}`, until: `${since + GAP_MS}` });
    expect(fixture.context.lines.filter(({ event }) => event === 'heartbeat_backlog')).toHaveLength(1);

    fixture.backlogAgeMs = 0;
    await a.publishWatermark();
    const nowMs = fixture.context.clock.nowMs();
    expect(await fixture.streak()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
  });

  test('that stops leaves the list, and another one does not add it again', async () => {
    await fixture.create('a').start();
    const staying = new Lifecycle();
    const b = fixture.create('b', staying);
    await b.start();
    await fixture.lifecycle.stop();
    await b.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['b']);
    await staying.stop();
    expect(await fixture.ingestors()).toEqual([]);
  });

  test('that has left for good does not ask for another generation again and again', async () => {
    const a = fixture.create('a');
    await a.start();
    const { client, keys } = fixture.context.redis;
    await client.hset(keys.listening, 'generation', '7');
    vi.spyOn(FakeIntake.prototype, 'join').mockResolvedValue();
    let writes = 0;
    const stopIntercepting = interceptScripts(fixture.context.redis, ['publish_watermark'], async (run) => {
      if (++writes > 10) throw new Error('expected no more writes');
      return run();
    });
    await a.publishWatermark();
    stopIntercepting();
    expect(writes).toBe(1);
  });

  test('whose subscription to heartbeats NATS refuses leaves the list, and publishes again when NATS accepts them', async () => {
    const a = fixture.create('a');
    await a.start();
    fixture.bus.published.length = 0;
    fixture.bus.isRefused = true;
    fixture.context.clock.advance(250);
    await a.publishWatermark();
    await a.publishWatermark();
    expect(await fixture.ingestors()).toEqual([]);
    const { client, keys } = fixture.context.redis;
    expect(await client.exists(keys.ingestors)).toBe(0);
    fixture.bus.isRefused = false;
    const backMs = fixture.context.clock.advance(250);
    await a.publishWatermark();
    expect(await fixture.ingestors()).toEqual(['a']);
    expect(await fixture.possibleLossMs()).toBe(backMs);
    expect(fixture.bus.published).toEqual(['healthmanager.start']);
  });

  test('that gave up a heartbeat for lack of memory records the possible loss, once', async () => {
    const a = fixture.create('a');
    await a.start();
    fixture.lostHeartbeats = 1;
    const lostMs = fixture.context.clock.advance(250);
    await a.publishWatermark();
    fixture.context.clock.advance(250);
    await a.publishWatermark();
    expect(await fixture.possibleLossMs()).toBe(lostMs);
  });
});
