import { beforeEach, describe, expect, test } from 'vitest';
import type { Bus, Headers } from '../common/nats/bus.ts';
import type { StartJob, StopJob } from '../common/queues/queues.ts';
import type { RedisConnections } from '../common/redis/connections.ts';
import { FleetCounters } from '../common/redis/counters.ts';
import { readDroplets } from '../common/redis/readers.ts';
import { RecordError } from '../common/redis/record-codec.ts';
import { metricValue, useRedis } from '../common/testing/context.ts';
import { startDelivery, stopDelivery } from './build-delivery.ts';
import { deliver } from './deliver.ts';
import { DeliveryStore } from './delivery-store.ts';
import { type NudgerMetrics, nudgerMetrics } from './metrics.ts';
import { NatsGate } from './nats-gate.ts';

const of = useRedis();
const DROPLET = 'app';
const START: StartJob = { id: 's1', droplet: DROPLET, index: 0, version: 'v', reason: 'missing' };
const STOP: StopJob = { id: 'p1', droplet: DROPLET, instance: 'i1', reason: 'extra_index' };

/** A connection to NATS that the test cuts and mends. */
class FakeBus {
  readonly published: { subject: string; data: unknown; headers: Headers | undefined }[] = [];
  isConnected = true;
  flushFails = false;
  flushHangs = false;
  abandoned = 0;
  #restored: (() => void)[] = [];

  asBus(): Bus {
    return {
      connected: () => this.isConnected,
      onRestored: (fn: () => void) => void this.#restored.push(fn),
      publish: (subject: string, data: string, headers?: Headers) => {
        this.published.push({ subject, data: JSON.parse(data), headers });
      },
      flush: () => this.#flush(),
      abandon: () => {
        this.abandoned++;
        this.#abandon();
      },
    } as unknown as Bus;
  }

  #abandon: () => void = () => undefined;

  #flush(): Promise<void> {
    if (this.flushFails) return Promise.reject(new Error('connection lost'));
    if (!this.flushHangs) return Promise.resolve();
    return new Promise((_, reject) => {
      this.#abandon = () => reject(new Error('connection lost'));
    });
  }

  restore(): void {
    this.isConnected = true;
    for (const fn of this.#restored) fn();
  }
}

let bus: FakeBus;
let metrics: NudgerMetrics;
let counters: FleetCounters;
let stop: AbortController;
let gate: NatsGate;

beforeEach(async () => {
  const { redis, log, lifecycle } = of.context;
  of.context.metrics.clear();
  metrics = nudgerMetrics(of.context.metrics);
  bus = new FakeBus();
  stop = new AbortController();
  gate = new NatsGate(bus.asBus(), stop.signal);
  counters ??= new FleetCounters({ redis, log, lifecycle });
  await notHeld();
});

/** Ingestors listen, and the desired state is known. */
async function notHeld(): Promise<void> {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs });
  await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
}

/** A droplet that wants two instances, has none at index 0, and of which a start is decided. */
async function put(fields: Record<string, string> = {}): Promise<void> {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  const pending = { id: 's1', reason: 'missing', priority: 'normal', decidedMs: nowMs - 500 };
  await client.zadd(keys.deasLastHeartbeat, nowMs, 'dea-1');
  await client.hset(keys.droplet(DROPLET), {
    rev: 7,
    seen: nowMs - 600_000,
    desired: 'STARTED 2x STAGED version v 256M updated 1398000000',
    'instance:i2': `1 RUNNING on dea-1 version v since 1 first ${nowMs - 60_000}`,
    'slot:0': JSON.stringify({ index: 0, version: 'v', crashes: 0, flapping: false, start: pending }),
    ...fields,
  });
}

const leave = (
  delivery = startDelivery(START, of.context.settings.policy),
  dryRun = false,
  {
    redis = of.context.redis,
    ...other
  }: Partial<Parameters<typeof deliver>[1]> & { redis?: RedisConnections } = {},
) => {
  const { clock, log, settings } = of.context;
  const options = {
    redis,
    store: new DeliveryStore({ redis, clock, policy: settings.policy }),
    bus: bus.asBus(),
    clock,
    log,
    metrics,
    counters,
    policy: settings.policy,
    dryRun,
    gate,
    ...other,
  };
  return deliver(delivery, options);
};
const record = async () => {
  const [droplet] = await readDroplets(of.context.redis, [DROPLET]);
  if (droplet === undefined || droplet instanceof Error) throw new Error('no record');
  return droplet;
};
const logged = async () => {
  const { client, keys } = of.context.redis;
  const entries = await client.xrange(keys.decisions(keys.sliceOf(DROPLET)), '-', '+');
  return entries.map(([, [, json]]) => JSON.parse(json as string) as Record<string, unknown>);
};
const dueMs = async () => {
  const { client, keys } = of.context.redis;
  return Number(await client.zscore(keys.due(keys.sliceOf(DROPLET)), DROPLET));
};
const count = (name: string, labels: Record<string, string>) =>
  metricValue(of.context.metrics, `hm_${name}_total`, labels);

describe('a start', () => {
  test('that is right leaves, with its id and reason for whoever looks at NATS', async () => {
    await put();
    expect(await leave()).toEqual({ outcome: 'sent', settled: true });
    expect(bus.published).toEqual([
      {
        subject: 'health.start',
        data: {
          droplet: DROPLET,
          last_updated: 1398000000,
          version: 'v',
          indices: [0],
          running: { v: 1 },
          flapping: false,
        },
        headers: { 'Nats-Msg-Id': 's1', 'hm-decision': 's1', 'hm-reason': 'missing' },
      },
    ]);
    const nowMs = of.context.clock.nowMs();
    expect((await record()).outcomes).toMatchObject(
      new Map([['s1', { id: 's1', outcome: 'sent', atMs: nowMs }]]),
    );
    expect(await logged()).toEqual([
      { atMs: nowMs, droplet: DROPLET, kind: 'sent', id: 's1', index: 0, version: 'v', reason: 'missing' },
    ]);
    expect(await dueMs()).toBe(nowMs + of.context.settings.policy.dropletLostMs + 1);
    expect(await count('decision_outcomes', { kind: 'start', reason: 'missing', outcome: 'sent' })).toBe(1);
    await counters.flush();
    expect(await of.context.redis.client.hgetall(of.context.redis.keys.counters)).toEqual({
      health_start_messages_sent: '1',
    });
  });

  test('leaves once, however many nudgers hold the job', async () => {
    await put();
    await Promise.all(Array.from({ length: 8 }, () => leave()));
    expect(bus.published).toHaveLength(1);
    expect(await logged()).toHaveLength(1);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'done' })).toBe(7);
  });

  test('that is no longer right is dropped, which is a decision too', async () => {
    const nowMs = of.context.clock.nowMs();
    await put({ 'instance:i1': `0 STARTING on dea-1 version v since 1 first ${nowMs}` });
    await leave();
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.get('s1')).toMatchObject({
      id: 's1',
      outcome: 'dropped',
      atMs: nowMs,
      why: 'live',
    });
    expect(await logged()).toMatchObject([{ kind: 'dropped', id: 's1', why: 'live' }]);
    expect(await dueMs()).toBe(nowMs);
    expect(
      await count('decision_outcomes', { kind: 'start', reason: 'missing', outcome: 'dropped', why: 'live' }),
    ).toBe(1);
  });

  test('under a hold is dropped', async () => {
    await put();
    await of.context.redis.client.del(of.context.redis.keys.listening);
    expect(await leave()).toEqual({ outcome: 'dropped: held:actual_not_fresh', settled: true });
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'held:actual_not_fresh' }]);
  });

  test.each([
    ['was taken back', { 'slot:0': '{"index":0,"version":"v","crashes":1,"flapping":false}' }],
    [
      'was replaced',
      {
        'slot:0': JSON.stringify({
          index: 0,
          version: 'v',
          crashes: 0,
          flapping: false,
          start: { id: 's2', reason: 'missing', priority: 'normal', decidedMs: 1 },
        }),
      },
    ],
  ])('that %s leaves nothing behind', async (_, fields) => {
    await put(fields);
    expect(await leave()).toEqual({ outcome: 'dropped: superseded', settled: false });
    expect(bus.published).toEqual([]);
    expect((await record()).rev).toBe(7);
    expect(await logged()).toEqual([]);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'superseded' })).toBe(1);
  });

  test('of a droplet that is gone is dropped', async () => {
    await leave();
    expect(bus.published).toEqual([]);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'unknown' })).toBe(1);
    expect(await of.context.redis.client.exists(of.context.redis.keys.droplet(DROPLET))).toBe(0);
  });

  test('of a record that cannot be read fails, and leaves it alone', async () => {
    await put({ rev: 'seven' });
    await expect(leave()).rejects.toThrow(RecordError);
    expect(bus.published).toEqual([]);
  });

  test('that is not due yet waits on', async () => {
    const nowMs = of.context.clock.nowMs();
    const pending = { id: 's1', reason: 'flapping', priority: 'low', decidedMs: nowMs, dueMs: nowMs + 1234 };
    const slot = { index: 0, version: 'v', crashes: 2, lastCrashMs: nowMs, flapping: true, start: pending };
    await put({ 'slot:0': JSON.stringify(slot) });
    expect(await leave()).toEqual({ waitMs: 1234 });
    expect(bus.published).toEqual([]);
    of.context.clock.advance(1234);
    await notHeld();
    expect(await leave()).toEqual({ outcome: 'sent', settled: true });
    expect(bus.published).toMatchObject([{ data: { flapping: true } }]);
  });

  test('whose record changes between the check and the settling is checked again', async () => {
    await put();
    const delivery = startDelivery(START, of.context.settings.policy);
    let checks = 0;
    const { client, keys } = of.context.redis;
    const changing = {
      ...delivery,
      check: (...args: Parameters<typeof delivery.recheck>) => {
        // Sent before the settling, and by one connection in this order.
        if (++checks === 1)
          void client.hset(keys.droplet(DROPLET), {
            rev: 8,
            desired: 'STOPPED 2x STAGED version v 256M updated 1',
          });
        return delivery.recheck(...args);
      },
    };
    await leave(changing);
    expect(checks).toBe(2);
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'not_wanted' }]);
  });

  test('whose record changes at every try is left for a later look', async () => {
    await put();
    const delivery = startDelivery(START, of.context.settings.policy);
    const { client, keys } = of.context.redis;
    await leave({
      ...delivery,
      recheck: (...args: Parameters<typeof delivery.recheck>) => {
        void client.hincrby(keys.droplet(DROPLET), 'rev', 1);
        return delivery.recheck(...args);
      },
    });
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.size).toBe(0);
    expect(of.context.lines).toContainEqual(
      expect.objectContaining({ event: 'outcome_not_stored', id: 's1' }),
    );
  });

  test('does not leave from a process that stood still since the check: it is taken back, and looked at again', async () => {
    await put();
    const { redis, clock, settings } = of.context;
    let nowMs = 0;
    const settleDeliveries = async (...call: Parameters<typeof redis.scripts.settleDeliveries>) => {
      const settled = await redis.scripts.settleDeliveries(...call);
      if (nowMs === 0) clock.advance(settings.policy.dropletLostMs / 3 + 1);
      nowMs = clock.nowMs();
      return settled;
    };
    await leave(undefined, false, { redis: { ...redis, scripts: { ...redis.scripts, settleDeliveries } } });
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.get('s1')).toMatchObject({
      outcome: 'dropped',
      atMs: nowMs,
      why: 'late',
    });
    expect(await logged()).toMatchObject([{ kind: 'sent' }, { kind: 'dropped', id: 's1', why: 'late' }]);
    expect(await dueMs()).toBe(nowMs);
    expect(
      await count('decision_outcomes', { kind: 'start', reason: 'missing', outcome: 'dropped', why: 'late' }),
    ).toBe(1);
    expect(await count('decision_outcomes', { outcome: 'sent' })).toBe(0);
  });

  test('of a process that stood still so long that its decision is over is left alone', async () => {
    await put();
    const { redis, clock, settings } = of.context;
    const settleDeliveries = async (...call: Parameters<typeof redis.scripts.settleDeliveries>) => {
      const settled = await redis.scripts.settleDeliveries(...call);
      clock.advance(2 * settings.policy.dropletLostMs);
      await redis.client.hdel(redis.keys.droplet(DROPLET), 'outcome:s1', 'slot:0');
      return settled;
    };
    await leave(undefined, false, { redis: { ...redis, scripts: { ...redis.scripts, settleDeliveries } } });
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.size).toBe(0);
  });

  test('with dry_run is settled and logged, and not published', async () => {
    await put();
    await leave(undefined, true);
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'sent', dryRun: true }]);
    expect(await count('decision_outcomes', { outcome: 'sent' })).toBe(0);
    expect(await count('decision_outcomes', { outcome: 'dry_run', reason: 'missing' })).toBe(1);
    expect(of.context.lines).toContainEqual(expect.objectContaining({ event: 'dry_run', id: 's1' }));
  });
});

test('a stop that is right leaves', async () => {
  const nowMs = of.context.clock.nowMs();
  await put({
    desired: 'STARTED 1x STAGED version v 256M updated 1398000000',
    'instance:i1': `5 RUNNING on dea-1 version v since 1 first ${nowMs - 60_000}`,
    'instance:i2': `0 RUNNING on dea-1 version v since 1 first ${nowMs - 60_000}`,
    'stop:i1': JSON.stringify({ instance: 'i1', id: 'p1', reason: 'extra_index', decidedMs: nowMs }),
  });
  const delivery = () => stopDelivery(STOP, of.context.settings.policy);
  await Promise.all([leave(delivery()), leave(delivery())]);
  expect(bus.published).toEqual([
    {
      subject: 'health.stop',
      data: {
        droplet: DROPLET,
        last_updated: 1398000000,
        instances: { i1: 'v' },
        running: { v: 2 },
        version: 'v',
      },
      headers: { 'Nats-Msg-Id': 'p1', 'hm-decision': 'p1', 'hm-reason': 'extra_index' },
    },
  ]);
  expect((await record()).outcomes.get('p1')?.outcome).toBe('sent');
  expect(await logged()).toMatchObject([{ kind: 'sent', instance: 'i1', reason: 'extra_index' }]);
  await counters.flush();
  const { client, keys } = of.context.redis;
  expect(await client.hget(keys.counters, 'health_stop_messages_sent')).toBe('1');
});

describe('NATS', () => {
  test('that is away: what waits is checked when it is back, not before', async () => {
    await put();
    bus.isConnected = false;
    const left = leave();
    await of.context.redis.client.hset(of.context.redis.keys.droplet(DROPLET), {
      rev: 8,
      desired: 'STOPPED 2x STAGED version v 256M updated 1',
    });
    expect((await record()).outcomes.size).toBe(0);
    bus.restore();
    await left;
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'not_wanted' }]);
  });

  test('that is away while the process stops: the job goes back', async () => {
    await put();
    bus.isConnected = false;
    const left = leave();
    stop.abort();
    expect(await left).toEqual({ back: true });
    expect((await record()).rev).toBe(7);
  });

  test('that is lost while it is sent: it is said, and not sent again for this decision', async () => {
    await put();
    bus.flushFails = true;
    expect(await leave()).toEqual({ outcome: 'unconfirmed', settled: true });
    expect(await count('decision_outcomes', { kind: 'start', outcome: 'unconfirmed' })).toBe(1);
    expect(of.context.lines).toContainEqual(
      expect.objectContaining({ event: 'delivery_unconfirmed', id: 's1' }),
    );
    bus.flushFails = false;
    await leave();
    expect(bus.published).toHaveLength(1);
  });

  test('that does not take it in time: the connection is given up with what waits in it, so that it cannot arrive late', async () => {
    await put();
    bus.flushHangs = true;
    const policy = { ...of.context.settings.policy, dropletLostMs: 90 };
    await leave(startDelivery(START, policy), false, { policy });
    expect(bus.abandoned).toBe(1);
    expect(await count('decision_outcomes', { kind: 'start', outcome: 'unconfirmed' })).toBe(1);
    expect(await count('decision_outcomes', { outcome: 'sent' })).toBe(0);
  });
});
