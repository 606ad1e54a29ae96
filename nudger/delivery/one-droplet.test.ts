/** Many deliveries of one droplet: they share reads, rechecks and settling, and cost as much as those of many droplets. */
import { describe, expect, test } from 'vitest';
import type { Bus } from '../../common/nats/bus.ts';
import { sendDeadlineMs } from '../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { FleetCounters } from '../../common/redis/fleet/counters.ts';
import { readDroplets } from '../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { useRedis } from '../../common/testing/context.ts';
import { natsController } from '../controller.ts';
import { ENCODERS } from '../dialect.ts';
import { nudgerMetrics } from '../metrics.ts';
import { NatsGate } from '../nats-gate.ts';
import { startDelivery, stopDelivery } from './build-delivery.ts';
import { type Delivery, type DeliveryResult, deliver } from './deliver.ts';
import { DeliveryStore } from './delivery-store.ts';

const fixture = useRedis({ settings: { slices: 1 } });
const DROPLET = 'app';
/** As many deliveries as a worker of the nudger works on at once. */
const AT_ONCE = 128;

/** Calls and tries of the scripts that the nudger runs. */
interface Costs {
  reads: number;
  settleCalls: number;
  settleTries: number;
}

function counted(redis: RedisConnections, costs: Costs): RedisConnections {
  const { run } = redis.scripts;
  return {
    ...redis,
    scripts: {
      run: (name, keys, args) => {
        if (name === 'settle_deliveries') {
          costs.settleCalls++;
          costs.settleTries += keys.length / 3;
        }
        if (name.startsWith('read_droplets'))
          costs.reads += keys.filter((key) => key.endsWith(DROPLET)).length;
        return run(name, keys, args);
      },
    },
  };
}

async function storeNoHolds(): Promise<void> {
  const { client, keys } = fixture.context.redis;
  const nowMs = fixture.context.clock.nowMs();
  await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs });
  await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
  for (let dea = 0; dea < 4; dea++) {
    await client.zadd(keys.deasLastHeartbeat, nowMs, `dea-${dea}`);
    await client.zadd(keys.deasPreviousHeartbeat, nowMs - 10_000, `dea-${dea}`);
  }
}

/** A STOPPED app with `count` running instances, each with a pending stop. */
async function storeStops(count: number): Promise<Delivery[]> {
  const { client, keys } = fixture.context.redis;
  const nowMs = fixture.context.clock.nowMs();
  const fields: Record<string, string | number> = {
    rev: 7,
    seen: nowMs - 600_000,
    desired: `STOPPED ${count}x STAGED version v 256M updated 1398000000`,
  };
  const deliveries = Array.from({ length: count }, (_, n) => {
    fields[`instance:i${n}`] = `${n} RUNNING on dea-${n % 4} version v since 1 first ${nowMs - 60_000}`;
    const stop = { instance: `i${n}`, id: `p${n}`, reason: 'stopped', decidedMs: nowMs } as const;
    fields[`stop:i${n}`] = JSON.stringify(stop);
    return stopDelivery(
      { id: `p${n}`, droplet: DROPLET, instance: `i${n}`, reason: 'stopped' },
      ENCODERS.hm2,
    );
  });
  await client.hset(keys.droplet(DROPLET), fields);
  return deliveries;
}

/** An app of which `count` slots have no instance, each with a pending start. */
async function storeStarts(count: number): Promise<Delivery[]> {
  const { client, keys } = fixture.context.redis;
  const nowMs = fixture.context.clock.nowMs();
  const fields: Record<string, string | number> = {
    rev: 7,
    seen: nowMs - 600_000,
    desired: `STARTED ${count}x STAGED version v 256M updated 1398000000`,
  };
  const deliveries = Array.from({ length: count }, (_, index) => {
    const start = { id: `s${index}`, reason: 'missing', priority: 'normal', decidedMs: nowMs };
    fields[`slot:${index}`] = JSON.stringify({ index, version: 'v', crashes: 0, flapping: false, start });
    const job = { id: `s${index}`, droplet: DROPLET, index, version: 'v', reason: 'missing' } as const;
    return startDelivery(job, ENCODERS.hm2);
  });
  await client.hset(keys.droplet(DROPLET), fields);
  return deliveries;
}

/** Delivers like a worker: at most `AT_ONCE` at a time, each job by all `nudgers` at once or by one of them. */
async function deliverAll(jobsOfNudger: readonly (readonly Delivery[])[]) {
  const { redis, clock, log, lifecycle, settings } = fixture.context;
  const costs: Costs = { reads: 0, settleCalls: 0, settleTries: 0 };
  const published: string[] = [];
  const bus = {
    connected: () => true,
    onRestored: () => undefined,
    publish: (_subject: string, data: string) => void published.push(data),
    flush: () => Promise.resolve(),
  } as unknown as Bus;
  fixture.context.metrics.clear();
  const metrics = nudgerMetrics(fixture.context.metrics);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const began = { cpu: process.cpuUsage(), ms: performance.now() };
  const results: DeliveryResult[] = [];
  await Promise.all(
    jobsOfNudger.map(async (jobs) => {
      const connections = counted(redis, costs);
      const options = {
        redis: connections,
        store: new DeliveryStore({ redis: connections, clock, policy: settings.policy }),
        controller: natsController(bus, sendDeadlineMs(settings.policy)),
        clock,
        log,
        metrics,
        counters,
        policy: settings.policy,
        dryRun: false,
        gate: new NatsGate(bus, new AbortController().signal),
      };
      const left = [...jobs];
      const work = async () => {
        for (let job = left.shift(); job !== undefined; job = left.shift())
          results.push(await deliver(job, options));
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    }),
  );
  const { user, system } = process.cpuUsage(began.cpu);
  const figures = { ms: Math.round(performance.now() - began.ms), cpuMs: Math.round((user + system) / 1000) };
  if (process.env.SHOW_COSTS) console.log(expect.getState().currentTestName, { ...costs, ...figures });
  return { costs, results, published };
}

const record = async () => {
  const [droplet] = await readDroplets(fixture.context.redis, [DROPLET]);
  if (droplet === undefined || droplet instanceof Error) throw new Error('no record');
  return droplet;
};
const half = (deliveries: readonly Delivery[], n: number) => deliveries.filter((_, at) => at % 2 === n);

describe('deliveries of one droplet', () => {
  test.each([
    ['100 stops', storeStops, 100],
    ['400 stops', storeStops, 400],
    ['150 starts', storeStarts, 150],
  ])(
    '%s: each is settled at its first try, and the record is read once for each batch',
    async (_, store, count) => {
      await storeNoHolds();
      const { costs, published } = await deliverAll([await store(count)]);
      expect(published).toHaveLength(count);
      expect(new Set(published).size).toBe(count);
      expect(costs.settleTries).toBe(count);
      expect(costs.reads).toBeLessThanOrEqual(Math.ceil(count / 20));
      expect((await record()).outcomes.size).toBe(count);
    },
  );

  test.each([
    ['100 stops', storeStops, 100],
    ['400 stops', storeStops, 400],
    ['150 starts', storeStarts, 150],
  ])('%s by two nudgers: none has to be checked again because of the other', async (_, store, count) => {
    await storeNoHolds();
    const deliveries = await store(count);
    const { costs, published } = await deliverAll([half(deliveries, 0), half(deliveries, 1)]);
    expect(published).toHaveLength(count);
    expect(costs.settleTries).toBe(count);
  });

  test('two nudgers that hold the same jobs send each once', async () => {
    await storeNoHolds();
    const deliveries = await storeStops(100);
    const { published } = await deliverAll([deliveries, deliveries]);
    expect(published).toHaveLength(100);
    expect(new Set(published).size).toBe(100);
  });
});
