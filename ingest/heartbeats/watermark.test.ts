import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Bus } from '../../common/nats/bus.ts';
import { Lifecycle } from '../../common/runtime/lifecycle.ts';
import { useRedis } from '../../common/testing/context.ts';
import { interceptScripts } from '../../common/testing/redis-scripts.ts';
import { IngestWatermark } from './watermark.ts';

const of = useRedis();
const LOST = 30_000;
const GAP = LOST / 3;

/** NATS as far as an ingestor that listens has to do with it. */
class FakeBus {
  readonly published: string[] = [];
  readonly payloads: string[] = [];
  readonly answering = new Set<string>();
  isConnected = true;
  flush: () => Promise<void> = async () => undefined;

  publish(subject: string, data: string): void {
    this.published.push(subject);
    this.payloads.push(data);
  }

  readonly #restored: (() => void)[] = [];

  asBus(): Bus {
    return {
      connected: () => this.isConnected,
      flush: () => this.flush(),
      publish: (subject: string, data: string) => this.publish(subject, data),
      subscribe: (subject: string) => {
        this.answering.add(subject);
        return { unsubscribe: () => this.answering.delete(subject) };
      },
      answers: async (subject: string) => this.answering.has(subject),
      onRestored: (fn: () => void) => void this.#restored.push(fn),
    } as unknown as Bus;
  }

  restore(): void {
    for (const fn of this.#restored) fn();
  }
}

let bus: FakeBus;
let lifecycle: Lifecycle;
let waitedMs: number;

beforeEach(() => {
  bus = new FakeBus();
  lifecycle = new Lifecycle();
  waitedMs = 0;
  of.context.lines.length = 0;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await lifecycle.stop();
});

function listening(id: string): IngestWatermark {
  const { redis, clock, log } = of.context;
  return new IngestWatermark({
    id,
    heartbeatBus: bus.asBus(),
    messageBus: bus.asBus(),
    redis,
    clock,
    log,
    lifecycle,
    dropletLostMs: LOST,
    backlogAgeMs: () => waitedMs,
  });
}
const stored = async () => {
  const { loss_possible_until: _, ...times } = await of.context.redis.client.hgetall(
    of.context.redis.keys.listening,
  );
  return times;
};
/** Until when something may be lost (ms). */
const missed = async () =>
  Number(await of.context.redis.client.hget(of.context.redis.keys.listening, 'loss_possible_until'));
const ingestors = () => of.context.redis.client.zrange(of.context.redis.keys.watermarks, '0', '-1');

describe('an ingestor', () => {
  test('that begins to listen says so, and asks all DEAs for a heartbeat', async () => {
    await listening('a').start();
    const nowMs = of.context.clock.nowMs();
    expect(await stored()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
    expect(bus.published).toEqual(['healthmanager.start']);
    expect(bus.payloads).toEqual(['{}']);
    expect(bus.answering).toEqual(new Set(['healthmanager.ingestor.a']));
  });

  test('that stops while it has its word is not on the list after', async () => {
    const a = listening('a');
    await a.start();
    const held: (() => void)[] = [];
    bus.flush = () => new Promise((resolve) => held.push(resolve));
    const word = a.publishWatermark();
    let stopped = false;
    const stopping = lifecycle.stop().then(() => {
      stopped = true;
    });
    // What was asked of NATS last is answered first.
    while (!stopped) {
      held.pop()?.();
      await new Promise(setImmediate);
    }
    for (const answer of held) answer();
    await Promise.all([word, stopping]);
    expect(await ingestors()).toEqual([]);
  });

  test('that goes on says so, and asks nobody', async () => {
    const since = of.context.clock.nowMs();
    const a = listening('a');
    await a.start();
    of.context.clock.advance(GAP / 2);
    await a.publishWatermark();
    expect(await stored()).toEqual({ since: `${since}`, until: `${since + GAP / 2}` });
    expect(bus.published).toHaveLength(1);
  });

  test('that was away for a while asks again, also where that is no gap', async () => {
    const since = of.context.clock.nowMs();
    const a = listening('a');
    await a.start();
    of.context.clock.advance(GAP / 2 + 1);
    await a.publishWatermark();
    expect(await stored()).toMatchObject({ since: `${since}` });
    expect(bus.published).toEqual(Array(2).fill('healthmanager.start'));
  });

  test.each([
    ['signed off', []],
    ['was killed', ['killed']],
  ])('that follows one that %s a moment before asks again, and that is no gap', async (_, left) => {
    const since = of.context.clock.nowMs();
    const { client, keys } = of.context.redis;
    await client.hset(keys.listening, { since, until: since });
    for (const other of left) await client.zadd(keys.watermarks, since, other);
    of.context.clock.advance(1);
    await listening('a').start();
    await listening('b').start();
    expect(await stored()).toMatchObject({ since: `${since}` });
    expect(await ingestors()).toEqual(['a', 'b']);
    expect(bus.published).toEqual(['healthmanager.start']);
  });

  test('asks when NATS is there for it, if it was not at first', async () => {
    const a = listening('a');
    bus.publish = () => {
      throw new Error('connection lost');
    };
    await a.start();
    bus.publish = FakeBus.prototype.publish;
    await a.publishWatermark();
    await a.publishWatermark();
    expect(bus.published).toEqual(['healthmanager.start']);
  });

  test('that lost NATS, for however short, asks again', async () => {
    const one = listening('a');
    await one.start();
    const startedMs = of.context.clock.nowMs();
    bus.published.length = 0;
    const backMs = of.context.clock.advance(300);
    await one.publishWatermark();
    expect(await missed()).toBe(startedMs);
    bus.restore();
    await one.publishWatermark();
    expect(await missed()).toBe(backMs);
    of.context.clock.advance(300);
    await one.publishWatermark();
    expect(await missed()).toBe(backMs);
    expect(bus.published).toEqual(['healthmanager.start']);
  });

  test('that joins others asks nobody', async () => {
    await listening('a').start();
    of.context.clock.advance(1000);
    await listening('b').start();
    expect(bus.published).toHaveLength(1);
    expect(await ingestors()).toEqual(['a', 'b']);
  });

  test('that was cut off for longer than a gap begins anew', async () => {
    const a = listening('a');
    await a.start();
    bus.isConnected = false;
    const since = of.context.clock.advance(GAP + 1);
    await a.publishWatermark();
    expect((await stored()).until).not.toBe(`${since}`);
    bus.isConnected = true;
    await a.publishWatermark();
    expect(await stored()).toEqual({ since: `${since}`, until: `${since}` });
    expect(bus.published).toHaveLength(2);
  });

  test('says nothing that no round trip to NATS has proved', async () => {
    const a = listening('a');
    bus.flush = () => Promise.reject(new Error('connection lost'));
    await a.start();
    expect(await stored()).toEqual({});
    bus.flush = async () => undefined;
    await a.publishWatermark();
    expect(await stored()).toMatchObject({ since: `${of.context.clock.nowMs()}` });
  });

  test('says until when all that it heard is stored: not what came while NATS was asked, nor what waits', async () => {
    const { client, keys } = of.context.redis;
    const word = async () => Number(await client.zscore(keys.watermarks, 'a'));
    const a = listening('a');
    const askedMs = of.context.clock.nowMs();
    bus.flush = async () => void of.context.clock.advance(30);
    await a.start();
    expect(await word()).toBe(askedMs);
    waitedMs = 800;
    await a.publishWatermark();
    expect(await word()).toBe(of.context.clock.nowMs() - 800);
  });

  test('that loses NATS once more while it says so says so again', async () => {
    const { redis } = of.context;
    const one = listening('a');
    await one.start();
    bus.published.length = 0;
    let isFirst = true;
    const restore = interceptScripts(redis, ['publish_watermark'], async (run) => {
      const result = await run();
      if (isFirst) bus.restore();
      isFirst = false;
      return result;
    });
    bus.restore();
    await one.publishWatermark();
    const backMs = of.context.clock.advance(300);
    await one.publishWatermark();
    restore();
    expect(await missed()).toBe(backMs);
    expect(bus.published).toEqual(Array(2).fill('healthmanager.start'));
  });

  test('that cannot store what it hears in time does not listen, and begins anew when it has caught up', async () => {
    const since = of.context.clock.nowMs();
    const a = listening('a');
    await a.start();
    waitedMs = GAP;
    of.context.clock.advance(GAP);
    await a.publishWatermark();
    expect(await stored()).toEqual({ since: `${since}`, until: `${since + GAP}` });

    waitedMs = GAP + 1;
    of.context.clock.advance(GAP + 1);
    await a.publishWatermark();
    expect(await stored()).toEqual({ since: `${since}`, until: `${since + GAP}` });
    expect(of.context.lines.filter(({ event }) => event === 'heartbeat_backlog')).toHaveLength(1);

    waitedMs = 0;
    await a.publishWatermark();
    const nowMs = of.context.clock.nowMs();
    expect(await stored()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
  });

  test('that stops signs off, and is not put back by another one', async () => {
    await listening('a').start();
    const { redis, clock, log } = of.context;
    const staying = new Lifecycle();
    const b = new IngestWatermark({
      ...{
        id: 'b',
        heartbeatBus: bus.asBus(),
        messageBus: bus.asBus(),
        redis,
        clock,
        log,
        lifecycle: staying,
      },
      ...{ dropletLostMs: LOST, backlogAgeMs: () => 0 },
    });
    await b.start();
    await lifecycle.stop();
    await b.publishWatermark();
    expect(await ingestors()).toEqual(['b']);
    await staying.stop();
    expect(await ingestors()).toEqual([]);
  });
});

describe('another ingestor that falls silent', () => {
  test('and does not answer is gone; one of the others asks for what it may have had in hand', async () => {
    bus.answering.add('healthmanager.ingestor.killed');
    await of.context.redis.client.zadd(of.context.redis.keys.watermarks, of.context.clock.nowMs(), 'killed');
    const [a, b] = [listening('a'), listening('b')];
    await a.start();
    await b.start();
    expect(await ingestors()).toContain('killed');
    bus.answering.delete('healthmanager.ingestor.killed');
    of.context.clock.advance(Math.ceil(GAP / 3) + 1);
    const asked = bus.published.length;
    await a.publishWatermark();
    await b.publishWatermark();
    expect(await ingestors()).toEqual(['a', 'b']);
    expect(bus.published.slice(asked)).toEqual(['healthmanager.start']);
  });

  test('and still answers swallows what it is given: it stays', async () => {
    bus.answering.add('healthmanager.ingestor.stopped');
    await of.context.redis.client.zadd(of.context.redis.keys.watermarks, of.context.clock.nowMs(), 'stopped');
    const a = listening('a');
    await a.start();
    of.context.clock.advance(GAP - 1);
    await a.publishWatermark();
    expect(await ingestors()).toEqual(['stopped', 'a']);
  });

  test('and is gone only after a gap swallowed what it was given until then', async () => {
    bus.answering.add('healthmanager.ingestor.cut-off');
    await of.context.redis.client.zadd(of.context.redis.keys.watermarks, of.context.clock.nowMs(), 'cut-off');
    const a = listening('a');
    await a.start();
    of.context.clock.advance(GAP);
    await a.publishWatermark();
    bus.answering.delete('healthmanager.ingestor.cut-off');
    const nowMs = of.context.clock.advance(1);
    await a.publishWatermark();
    expect(await stored()).toEqual({ since: `${nowMs}`, until: `${nowMs}` });
    expect(await ingestors()).toEqual(['a']);
  });

  test('and still answers is not forgotten with the data of Redis: since its last word nobody knows what it swallowed', async () => {
    const { client, keys } = of.context.redis;
    bus.answering.add('healthmanager.ingestor.stopped');
    const lastWordMs = of.context.clock.nowMs();
    await client.zadd(keys.watermarks, lastWordMs, 'stopped');
    const a = listening('a');
    await a.start();
    of.context.clock.advance(1000);
    await client.flushall();
    const nowMs = of.context.clock.advance(1000);
    await a.publishWatermark();
    expect(await client.zrange(keys.watermarks, '0', '-1', 'WITHSCORES')).toEqual([
      ...['stopped', `${lastWordMs}`],
      ...['a', `${nowMs}`],
    ]);
  });

  test.each([
    ['signs off', async () => of.context.redis.client.zrem(of.context.redis.keys.watermarks, 'other')],
    ['is killed when Redis loses its data', async () => of.context.redis.client.flushall()],
  ])('and %s is not put on the list again', async (_, leave) => {
    bus.answering.add('healthmanager.ingestor.other');
    await of.context.redis.client.zadd(of.context.redis.keys.watermarks, of.context.clock.nowMs(), 'other');
    const a = listening('a');
    await a.start();
    bus.answering.delete('healthmanager.ingestor.other');
    await leave();
    await a.publishWatermark();
    await a.publishWatermark();
    expect(await ingestors()).toEqual(['a']);
  });
});

describe('news', () => {
  test('is what comes to a process that runs', async () => {
    expect(listening('a').isFresh()).toBe(true);
  });

  test('is not what waited while it was stopped, until a round trip to NATS on both connections', async () => {
    const a = listening('a');
    const arrived: (() => void)[] = [];
    bus.flush = () => new Promise((resolve) => arrived.push(resolve));
    const nowMs = performance.now();
    const watch = vi.spyOn(performance, 'now').mockReturnValue(nowMs + GAP - 1);
    expect(a.isFresh()).toBe(true);
    watch.mockReturnValue(nowMs + GAP + 1000);
    expect(a.isFresh()).toBe(false);
    expect(a.isFresh()).toBe(false);
    expect(Math.round(a.stallMs)).toBe(GAP + 1000);
    watch.mockReturnValue(nowMs + 10 * LOST);
    expect(a.stallMs).toBe(LOST);
    expect(of.context.lines.filter(({ event }) => event === 'ingestor_stalled')).toHaveLength(1);
    expect(arrived).toHaveLength(2);
    arrived[0]?.();
    await new Promise(setImmediate);
    expect(a.isFresh()).toBe(false);
    arrived[1]?.();
    await expect.poll(() => a.isFresh()).toBe(true);
    expect(a.stallMs).toBe(0);
  });

  test('comes again when the connection is lost, and with it all that waited', async () => {
    const a = listening('a');
    bus.flush = () => Promise.reject(new Error('connection lost'));
    const nowMs = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(nowMs + GAP + 1000);
    expect(a.isFresh()).toBe(false);
    await vi.waitFor(() => expect(a.isFresh()).toBe(true));
  });
});
