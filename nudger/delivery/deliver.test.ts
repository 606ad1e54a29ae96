import { beforeEach, describe, expect, test } from 'vitest';
import type { Bus, Headers } from '../../common/nats/bus.ts';
import { sendDeadlineMs } from '../../common/policy/thresholds.ts';
import type { StartJob, StopJob } from '../../common/queues/queues.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { FleetCounters } from '../../common/redis/fleet/counters.ts';
import { UnreadableRecord } from '../../common/redis/records/record-error.ts';
import { readDroplets } from '../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { withScripts } from '../../common/testing/redis/scripts.ts';
import { natsController } from '../controller.ts';
import { ENCODERS } from '../dialect.ts';
import { type NudgerMetrics, nudgerMetrics } from '../metrics.ts';
import { NatsGate } from '../nats-gate.ts';
import { startDelivery, stopDelivery } from './build-delivery.ts';
import { deliver } from './deliver.ts';
import { DeliveryStore } from './delivery-store.ts';

const fixture = useRedis();
const DROPLET = 'app';
const START: StartJob = { id: 's1', droplet: DROPLET, index: 0, version: 'v', reason: 'missing' };
const STOP: StopJob = { id: 'p1', droplet: DROPLET, instance: 'i1', reason: 'extra_index' };

/** A NATS connection that the test disconnects and restores. */
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
  const { redis, log, lifecycle } = fixture.context;
  fixture.context.metrics.clear();
  metrics = nudgerMetrics(fixture.context.metrics);
  bus = new FakeBus();
  stop = new AbortController();
  gate = new NatsGate(bus.asBus(), stop.signal);
  counters ??= new FleetCounters({ redis, log, lifecycle });
  await storeNoHolds();
});

/** Stores the state in which no hold is on: fresh heartbeats and a complete bulk pass. */
async function storeNoHolds(): Promise<void> {
  const { client, keys } = fixture.context.redis;
  const nowMs = fixture.context.clock.nowMs();
  await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs });
  await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
}

/** Stores a droplet that wants two instances, has none at index 0, and has a decided start for it. */
async function storeDroplet(fields: Record<string, string> = {}): Promise<void> {
  const { client, keys } = fixture.context.redis;
  const nowMs = fixture.context.clock.nowMs();
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

const send = (
  delivery = startDelivery(START, ENCODERS.hm2),
  dryRun = false,
  {
    redis = fixture.context.redis,
    ...other
  }: Partial<Parameters<typeof deliver>[1]> & { redis?: RedisConnections } = {},
) => {
  const { clock, log, settings } = fixture.context;
  const options = {
    redis,
    store: new DeliveryStore({ redis, clock, policy: settings.policy }),
    controller: natsController(bus.asBus(), sendDeadlineMs(settings.policy)),
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
  const [droplet] = await readDroplets(fixture.context.redis, [DROPLET]);
  if (droplet === undefined || droplet instanceof Error) throw new Error('no record');
  return droplet;
};
const logged = async () => {
  const { client, keys } = fixture.context.redis;
  const entries = await client.xrange(keys.decisions(keys.sliceOf(DROPLET)), '-', '+');
  return entries.map(([, [, json]]) => JSON.parse(json as string) as Record<string, unknown>);
};
const dueMs = async () => {
  const { client, keys } = fixture.context.redis;
  return Number(await client.zscore(keys.due(keys.sliceOf(DROPLET)), DROPLET));
};
const count = (name: string, labels: Record<string, string>) =>
  metricValue(fixture.context.metrics, `hm_${name}_total`, labels);

describe('a start', () => {
  test('that is still right is sent, with its id and reason as headers', async () => {
    await storeDroplet();
    expect(await send()).toEqual({ outcome: 'sent', settled: true });
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
    const nowMs = fixture.context.clock.nowMs();
    expect((await record()).outcomes).toMatchObject(
      new Map([['s1', { id: 's1', outcome: 'sent', atMs: nowMs }]]),
    );
    expect(await logged()).toEqual([
      { atMs: nowMs, droplet: DROPLET, kind: 'sent', id: 's1', index: 0, version: 'v', reason: 'missing' },
    ]);
    expect(await dueMs()).toBe(nowMs + fixture.context.settings.policy.dropletLostMs + 1);
    expect(await count('decision_outcomes', { kind: 'start', reason: 'missing', outcome: 'sent' })).toBe(1);
    await counters.flush();
    expect(await fixture.context.redis.client.hgetall(fixture.context.redis.keys.counters)).toEqual({
      health_start_messages_sent: '1',
    });
  });

  test('is sent once, however many nudgers process the job', async () => {
    await storeDroplet();
    await Promise.all(Array.from({ length: 8 }, () => send()));
    expect(bus.published).toHaveLength(1);
    expect(await logged()).toHaveLength(1);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'done' })).toBe(7);
  });

  test('that is no longer right is dropped, which is logged as a decision', async () => {
    const nowMs = fixture.context.clock.nowMs();
    await storeDroplet({ 'instance:i1': `0 STARTING on dea-1 version v since 1 first ${nowMs}` });
    await send();
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
    await storeDroplet();
    await fixture.context.redis.client.del(fixture.context.redis.keys.listening);
    expect(await send()).toEqual({ outcome: 'dropped: held:actual_not_fresh', settled: true });
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'held:actual_not_fresh' }]);
  });

  test.each([
    ['was cancelled', { 'slot:0': '{"index":0,"version":"v","crashes":1,"flapping":false}' }],
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
  ])('that %s changes neither the record nor the log', async (_, fields) => {
    await storeDroplet(fields);
    expect(await send()).toEqual({ outcome: 'dropped: superseded', settled: false });
    expect(bus.published).toEqual([]);
    expect((await record()).rev).toBe(7);
    expect(await logged()).toEqual([]);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'superseded' })).toBe(1);
  });

  test('of a droplet without a record is dropped', async () => {
    await send();
    expect(bus.published).toEqual([]);
    expect(await count('decision_outcomes', { outcome: 'dropped', why: 'unknown' })).toBe(1);
    expect(await fixture.context.redis.client.exists(fixture.context.redis.keys.droplet(DROPLET))).toBe(0);
  });

  test('of a record that cannot be read fails, and does not change the record', async () => {
    await storeDroplet({ rev: 'seven' });
    await expect(send()).rejects.toThrow(UnreadableRecord);
    expect(bus.published).toEqual([]);
  });

  test('that is not due yet is delayed further', async () => {
    const nowMs = fixture.context.clock.nowMs();
    const pending = { id: 's1', reason: 'flapping', priority: 'low', decidedMs: nowMs, dueMs: nowMs + 1234 };
    const slot = { index: 0, version: 'v', crashes: 2, lastCrashMs: nowMs, flapping: true, start: pending };
    await storeDroplet({ 'slot:0': JSON.stringify(slot) });
    expect(await send()).toEqual({ waitMs: 1234 });
    expect(bus.published).toEqual([]);
    fixture.context.clock.advance(1234);
    await storeNoHolds();
    expect(await send()).toEqual({ outcome: 'sent', settled: true });
    expect(bus.published).toMatchObject([{ data: { flapping: true } }]);
  });

  test('whose record changes between the recheck and the settling is rechecked', async () => {
    await storeDroplet();
    const delivery = startDelivery(START, ENCODERS.hm2);
    let rechecks = 0;
    const { client, keys } = fixture.context.redis;
    const changing = {
      ...delivery,
      recheck: (...args: Parameters<typeof delivery.recheck>) => {
        // Sent before the settling, and by one connection in this order.
        if (++rechecks === 1)
          void client.hset(keys.droplet(DROPLET), {
            rev: 8,
            desired: 'STOPPED 2x STAGED version v 256M updated 1',
          });
        return delivery.recheck(...args);
      },
    };
    await send(changing);
    expect(rechecks).toBe(2);
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'not_wanted' }]);
  });

  test('whose record changes at every attempt is not sent and stays pending', async () => {
    await storeDroplet();
    const delivery = startDelivery(START, ENCODERS.hm2);
    const { client, keys } = fixture.context.redis;
    await send({
      ...delivery,
      recheck: (...args: Parameters<typeof delivery.recheck>) => {
        void client.hincrby(keys.droplet(DROPLET), 'rev', 1);
        return delivery.recheck(...args);
      },
    });
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.size).toBe(0);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'outcome_not_stored', id: 's1' }),
    );
  });

  test('is reverted, not sent, when the process was suspended after the recheck; the droplet is reconciled at once', async () => {
    await storeDroplet();
    const { redis, clock, settings } = fixture.context;
    let nowMs = 0;
    const stopped = withScripts(redis, ['settle_deliveries'], async (run) => {
      const settled = await run();
      if (nowMs === 0) clock.advance(settings.policy.dropletLostMs / 3 + 1);
      nowMs = clock.nowMs();
      return settled;
    });
    await send(undefined, false, { redis: stopped });
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

  test('is neither sent nor reverted when its decision has ended while the process was suspended', async () => {
    await storeDroplet();
    const { redis, clock, settings } = fixture.context;
    const stopped = withScripts(redis, ['settle_deliveries'], async (run) => {
      const settled = await run();
      clock.advance(2 * settings.policy.dropletLostMs);
      await redis.client.hdel(redis.keys.droplet(DROPLET), 'outcome:s1', 'slot:0');
      return settled;
    });
    await send(undefined, false, { redis: stopped });
    expect(bus.published).toEqual([]);
    expect((await record()).outcomes.size).toBe(0);
  });

  test('with dry_run is settled and logged, and not published', async () => {
    await storeDroplet();
    await send(undefined, true);
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'sent', dryRun: true }]);
    expect(await count('decision_outcomes', { outcome: 'sent' })).toBe(0);
    expect(await count('decision_outcomes', { outcome: 'dry_run', reason: 'missing' })).toBe(1);
    expect(fixture.context.lines).toContainEqual(expect.objectContaining({ event: 'dry_run', id: 's1' }));
  });
});

test('a stop that is still right is sent once', async () => {
  const nowMs = fixture.context.clock.nowMs();
  await storeDroplet({
    desired: 'STARTED 1x STAGED version v 256M updated 1398000000',
    'instance:i1': `5 RUNNING on dea-1 version v since 1 first ${nowMs - 60_000}`,
    'instance:i2': `0 RUNNING on dea-1 version v since 1 first ${nowMs - 60_000}`,
    'stop:i1': JSON.stringify({ instance: 'i1', id: 'p1', reason: 'extra_index', decidedMs: nowMs }),
  });
  const delivery = () => stopDelivery(STOP, ENCODERS.hm2);
  await Promise.all([send(delivery()), send(delivery())]);
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
  const { client, keys } = fixture.context.redis;
  expect(await client.hget(keys.counters, 'health_stop_messages_sent')).toBe('1');
});

describe('NATS', () => {
  test('disconnected: the recheck is made after the reconnect, not before', async () => {
    await storeDroplet();
    bus.isConnected = false;
    const sending = send();
    await fixture.context.redis.client.hset(fixture.context.redis.keys.droplet(DROPLET), {
      rev: 8,
      desired: 'STOPPED 2x STAGED version v 256M updated 1',
    });
    expect((await record()).outcomes.size).toBe(0);
    bus.restore();
    await sending;
    expect(bus.published).toEqual([]);
    expect(await logged()).toMatchObject([{ kind: 'dropped', why: 'not_wanted' }]);
  });

  test('disconnected while the process stops: the job goes back to the queue', async () => {
    await storeDroplet();
    bus.isConnected = false;
    const sending = send();
    stop.abort();
    expect(await sending).toEqual({ requeue: true });
    expect((await record()).rev).toBe(7);
  });

  test('lost during a send: it is logged, and nothing is sent again for this decision', async () => {
    await storeDroplet();
    bus.flushFails = true;
    expect(await send()).toEqual({ outcome: 'unconfirmed', settled: true });
    expect(await count('decision_outcomes', { kind: 'start', outcome: 'unconfirmed' })).toBe(1);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'delivery_unconfirmed', id: 's1' }),
    );
    bus.flushFails = false;
    await send();
    expect(bus.published).toHaveLength(1);
  });

  test('too slow: the connection is abandoned with the message, so that it cannot arrive late', async () => {
    await storeDroplet();
    bus.flushHangs = true;
    const policy = { ...fixture.context.settings.policy, dropletLostMs: 90 };
    await send(startDelivery(START, ENCODERS.hm2), false, { policy });
    expect(bus.abandoned).toBe(1);
    expect(await count('decision_outcomes', { kind: 'start', outcome: 'unconfirmed' })).toBe(1);
    expect(await count('decision_outcomes', { outcome: 'sent' })).toBe(0);
  });
});
