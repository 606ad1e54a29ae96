import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Droplet, Instance } from '../../common/model/droplet.ts';
import { readDroplets } from '../../common/redis/readers.ts';
import { metricValue, recordOf, useRedis } from '../../common/testing/context.ts';
import { startTestRedis } from '../../common/testing/redis.ts';
import { ingestMetrics } from '../metrics.ts';
import { HeartbeatIntake } from './intake.ts';

const of = useRedis();
const LOST = 30_000;
let intake: HeartbeatIntake;
let rejected: [reason: string, detail: Record<string, unknown>][];

beforeEach(() => {
  const { redis, clock, log, metrics } = of.context;
  metrics.clear();
  rejected = [];
  intake = new HeartbeatIntake({
    redis,
    clock,
    log,
    metrics: ingestMetrics(metrics),
    ccPartition: 'default',
    dropletLostMs: LOST,
    rejected: (reason, detail) => rejected.push([reason, detail]),
  });
});

type Entry = Record<string, unknown>;
const entry = (droplet: string, instance = `${droplet}-0`, more: Entry = {}): Entry => ({
  cc_partition: 'default',
  droplet,
  version: 'v1',
  instance,
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_398_000_000,
  ...more,
});
const bytes = (dea: unknown, droplets: unknown) => Buffer.from(JSON.stringify({ droplets, dea }));
const hundred = (changed = 0): Entry[] =>
  Array.from({ length: 100 }, (_, n) =>
    entry(`app-${n}`, `i-${n}`, { state: n < changed ? 'CRASHED' : 'RUNNING' }),
  );

/** A heartbeat received now, stored. */
async function hear(dea: string, ...droplets: unknown[]): Promise<number> {
  intake.take(bytes(dea, droplets));
  const at = of.context.clock.nowMs();
  await intake.idle();
  return at;
}
const droplet = async (id: string): Promise<Droplet> => {
  const [found] = await readDroplets(of.context.redis, [id]);
  if (found === undefined || found instanceof Error) throw new Error(`${id}: ${found ?? 'no record'}`);
  return found;
};
const instance = async (id: string, guid: string): Promise<Instance | undefined> =>
  (await droplet(id)).instances.find((one) => one.guid === guid);
const heardAt = async (dea: string) => {
  const score = await of.context.redis.client.zscore(of.context.redis.keys.deasLastHeartbeat, dea);
  return score === null ? undefined : Number(score);
};
const dueAt = async (id: string) => {
  const { client, keys } = of.context.redis;
  const score = await client.zscore(keys.due(keys.sliceOf(id)), id);
  return score === null ? undefined : Number(score);
};
const clearDue = async () => {
  const { client } = of.context.redis;
  const lists = await client.keys('hm:{*}:due');
  if (lists.length > 0) await client.del(...lists);
};
const counted = (name: string) => metricValue(of.context.metrics, `hm_heartbeats_${name}_total`);

/** Every command that Redis executes while `work` runs; those inside a script too, as `lua`. */
async function commandsOf(work: () => Promise<unknown>): Promise<{ by: 'client' | 'lua'; args: string[] }[]> {
  const client = of.context.redis.client as Redis;
  const seen: { by: 'client' | 'lua'; args: string[] }[] = [];
  const monitor = await client.monitor();
  const marked = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, args: string[], source: string) => {
      if (args[1] === 'the end') resolve();
      else seen.push({ by: source === 'lua' ? 'lua' : 'client', args });
    });
  });
  await work();
  await client.echo('the end');
  await marked;
  monitor.disconnect();
  await once(monitor, 'end');
  return seen;
}

describe('a heartbeat', () => {
  test('that is the first stores all that it lists', async () => {
    const at = await hear('dea-1', ...hundred());
    const found = await droplet('app-42');
    expect(found).toMatchObject({
      rev: 1,
      firstSeenMs: at,
      instances: [
        {
          guid: 'i-42',
          index: 0,
          version: 'v1',
          state: 'RUNNING',
          stateTimestampS: 1_398_000_000,
          dea: 'dea-1',
          firstListedMs: at,
        },
      ],
    });
    expect(found.instances[0]).not.toHaveProperty('lastListedMs');
    expect(await heardAt('dea-1')).toBe(at);
    expect(await dueAt('app-42')).toBe(at);
    expect(await counted('changed')).toBe(1);
  });

  test('that is equal costs one call of a script, which touches no droplet', async () => {
    await hear('dea-1', ...hundred());
    await hear('dea-2', entry('other'));
    of.context.clock.advance(10_000);
    const commands = await commandsOf(async () => {
      intake.take(bytes('dea-1', hundred()));
      intake.take(bytes('dea-2', [entry('other')]));
      await intake.idle();
    });
    expect(commands.filter(({ by }) => by === 'client').map(({ args }) => args[0]?.toLowerCase())).toEqual([
      'evalsha',
    ]);
    const { keys } = of.context.redis;
    const touched = new Set(commands.filter(({ by }) => by === 'lua').map(({ args }) => args[1]));
    expect(touched).toEqual(new Set([keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest]));
    expect(await heardAt('dea-1')).toBe(of.context.clock.nowMs());
    expect(await counted('equal')).toBe(2);
  });

  test('that differs writes its difference', async () => {
    await hear('dea-1', ...hundred());
    of.context.clock.advance(10_000);
    const commands = await commandsOf(() => hear('dea-1', ...hundred(5)));
    const touched = new Set(
      commands.map(({ args }) => args[1] ?? '').filter((key) => key.includes(':droplet:')),
    );
    expect([...touched].sort()).toEqual(
      [0, 1, 2, 3, 4].map((n) => of.context.redis.keys.droplet(`app-${n}`)).sort(),
    );
    const revs = await Promise.all(hundred().map(async ({ droplet: id }) => (await droplet(String(id))).rev));
    expect(revs.map((rev) => rev - 1)).toEqual(hundred().map((_, n) => (n < 5 ? 1 : 0)));
    expect((await instance('app-4', 'i-4'))?.state).toBe('CRASHED');
    expect(await metricValue(of.context.metrics, 'hm_droplets_changed_total')).toBe(105);
  });

  test('in another order is the same', async () => {
    await hear('dea-1', entry('x'), entry('y'));
    await hear('dea-1', entry('y'), entry('x'));
    expect((await droplet('x')).rev).toBe(1);
  });

  test('that no longer lists an instance says when it was last listed', async () => {
    const first = await hear('dea-1', entry('x', 'i1'), entry('x', 'i2', { index: 1 }));
    of.context.clock.advance(10_000);
    const second = await hear('dea-1', entry('x', 'i1'), entry('x', 'i2', { index: 1 }));
    of.context.clock.advance(10_000);
    const third = await hear('dea-1', entry('x', 'i2', { index: 1 }));
    expect(await instance('x', 'i1')).toMatchObject({ firstListedMs: first, lastListedMs: second });
    expect(await instance('x', 'i2')).not.toHaveProperty('lastListedMs');
    expect(await dueAt('x')).toBe(third);
  });

  test('that is empty says that the DEA lives and runs nothing', async () => {
    const first = await hear('dea-1', entry('x', 'i1'));
    of.context.clock.advance(10_000);
    const second = await hear('dea-1');
    expect(await heardAt('dea-1')).toBe(second);
    expect(await instance('x', 'i1')).toMatchObject({ lastListedMs: first });
  });

  test('after a silence, though equal, makes all droplets of its DEA due', async () => {
    await hear('dea-1', entry('x'), entry('y'));
    await clearDue();
    of.context.clock.advance(LOST);
    await hear('dea-1', entry('x'), entry('y'));
    expect(await dueAt('x')).toBeUndefined();
    const back = of.context.clock.advance(LOST + 1);
    await hear('dea-1', entry('x'), entry('y'));
    expect([await dueAt('x'), await dueAt('y')]).toEqual([back, back]);
    expect(await instance('x', 'x-0')).not.toHaveProperty('lastListedMs');
  });

  test('after a silence, of which the first was never stored whole, makes all droplets due too', async () => {
    const { keys, scripts } = of.context.redis;
    await hear('dea-1', entry('x'));
    await clearDue();
    const back = of.context.clock.advance(LOST + 1);
    await scripts.beginHeartbeat(
      [
        keys.deasLastHeartbeat,
        keys.deasPreviousHeartbeat,
        keys.deasDigest,
        keys.deaList('dea-1'),
        keys.deasShutdown,
        keys.failover,
      ],
      [back, 'dea-1', ''],
    );
    const next = of.context.clock.advance(10_000);
    await hear('dea-1', entry('x'));
    expect(await dueAt('x')).toBe(next);
  });

  test('that waited was heard when it came, not when it could be stored', async () => {
    const first = await hear('dea-1', entry('x'));
    const second = of.context.clock.advance(10_000);
    intake.take(bytes('dea-1', [entry('x')]));
    intake.take(bytes('dea-2', [entry('y')]));
    of.context.clock.advance(25_000);
    await intake.idle();
    expect([await heardAt('dea-1'), await heardAt('dea-2')]).toEqual([second, second]);
    expect((await instance('y', 'y-0'))?.firstListedMs).toBe(second);
    expect(await of.context.redis.client.zscore(of.context.redis.keys.deasPreviousHeartbeat, 'dea-1')).toBe(
      `${first}`,
    );
  });

  test('of several that wait the newest of each DEA counts', async () => {
    intake.take(bytes('dea-1', [entry('x', 'old')]));
    intake.take(bytes('dea-2', [entry('y')]));
    intake.take(bytes('dea-1', [entry('x', 'newer')]));
    intake.take(bytes('dea-1', [entry('x', 'newest')]));
    await intake.idle();
    expect((await droplet('x')).instances.map(({ guid }) => guid)).toEqual(['newest']);
    expect((await droplet('y')).instances).toHaveLength(1);
    expect([await counted('received'), await counted('coalesced')]).toEqual([4, 2]);
  });

  test('waits, as long as nothing of its DEA is stored, since the first that came', async () => {
    expect(intake.backlogAgeMs()).toBe(0);
    intake.take(bytes('dea-1', [entry('x', 'old')]));
    of.context.clock.advance(10_000);
    intake.take(bytes('dea-2', [entry('y')]));
    intake.take(bytes('dea-1', [entry('x', 'new')]));
    of.context.clock.advance(1_000);
    expect(intake.backlogAgeMs()).toBe(11_000);
    const stored = intake.idle();
    of.context.clock.advance(1_000);
    expect(intake.backlogAgeMs()).toBe(12_000);
    await stored;
    expect(intake.backlogAgeMs()).toBe(0);
  });

  test('may have waited before it was taken in, changed or equal', async () => {
    intake.take(bytes('dea-1', [entry('x')]), 90);
    expect(intake.backlogAgeMs()).toBe(90);
    await intake.idle();
    intake.take(bytes('dea-1', [entry('x')]), 80);
    expect(intake.backlogAgeMs()).toBe(80);
    await intake.idle();
    expect(intake.backlogAgeMs()).toBe(0);
  });

  test('that is equal does not wait for the changed ones of other DEAs', async () => {
    await hear('dea-1', entry('x'));
    const { context } = of;
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { storeHeartbeatDroplets } = context.redis.scripts;
    context.redis.scripts.storeHeartbeatDroplets = async (...call) => {
      await held;
      return storeHeartbeatDroplets(...call);
    };
    const firstMs = context.clock.advance(10_000);
    intake.take(bytes('dea-2', [entry('y', 'old')]));
    await expect.poll(() => heardAt('dea-2')).toBe(firstMs);
    const secondMs = context.clock.advance(10_000);
    intake.take(bytes('dea-1', [entry('x')]));
    intake.take(bytes('dea-2', [entry('y', 'newer')]));
    await expect.poll(() => heardAt('dea-1')).toBe(secondMs);
    intake.take(bytes('dea-2', [entry('y', 'newest')]));
    context.clock.advance(5_000);
    expect(intake.backlogAgeMs()).toBe(15_000);

    letGo();
    await intake.idle();
    context.redis.scripts.storeHeartbeatDroplets = storeHeartbeatDroplets;
    expect(intake.backlogAgeMs()).toBe(0);
    const listed = (await droplet('y')).instances.filter(({ lastListedMs }) => lastListedMs === undefined);
    expect(listed.map(({ guid }) => guid)).toEqual(['newest']);
    const counts = await Promise.all(['received', 'equal', 'changed', 'coalesced'].map(counted));
    expect(counts).toEqual([5, 1, 3, 1]);
  });

  test('that comes while others are being stored is stored after them', async () => {
    intake.take(bytes('dea-1', [entry('x', 'old')]));
    const first = intake.idle();
    of.context.clock.advance(1);
    intake.take(bytes('dea-1', [entry('x', 'new')]));
    await first;
    await intake.idle();
    const listed = (await droplet('x')).instances.filter(({ lastListedMs }) => lastListedMs === undefined);
    expect(listed.map(({ guid }) => guid)).toEqual(['new']);
  });

  test('is stored by itself soon after it came', async () => {
    intake.take(bytes('dea-1', [entry('x')]));
    await expect.poll(() => heardAt('dea-1')).toBe(of.context.clock.nowMs());
    await intake.idle();
  });
});

describe('what does not fit', () => {
  test('of a heartbeat does not hurt the rest', async () => {
    await hear(
      'dea-1',
      entry('good'),
      entry('bad index', 'i', { index: -1 }),
      entry('bad index too', 'i', { index: '0' }),
      { droplet: 'nothing else' },
      null,
      17,
      entry('no state', 'i', { state: null }),
      entry('good too', 'i'),
    );
    expect((await droplet('good')).instances).toHaveLength(1);
    expect((await droplet('good too')).instances).toHaveLength(1);
    for (const id of ['bad index', 'bad index too', 'nothing else', 'no state']) {
      expect(await recordOf(of.context.redis, id)).toEqual({});
    }
    expect(Object.fromEntries(rejected.map(([reason, { entries }]) => [reason, entries]))).toEqual({
      index: 2,
      version: 1,
      entry: 2,
      state: 1,
    });
    expect(rejected.every(([, { dea }]) => dea === 'dea-1')).toBe(true);
  });

  test('is counted and changes nothing', async () => {
    for (const bad of [
      Buffer.from('no JSON'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(''),
      bytes('', []),
      bytes(17, []),
      bytes('dea-1', {}),
      bytes('dea-1', undefined),
    ]) {
      intake.take(bad);
      await intake.idle();
    }
    expect(rejected).toHaveLength(7);
    expect(await of.context.redis.client.keys('hm:{fleet}:deas:*')).toEqual([]);
  });

  test('entries of another partition are not ours', async () => {
    await hear(
      'dea-1',
      entry('ours'),
      entry('theirs', 'i', { cc_partition: 'other' }),
      entry('without', 'j', { cc_partition: undefined }),
    );
    expect(await recordOf(of.context.redis, 'theirs')).toEqual({});
    expect((await droplet('ours')).instances).toHaveLength(1);
    expect((await droplet('without')).instances).toHaveLength(1);
    expect(rejected).toEqual([]);
  });

  test('a droplet of old clouds is a number, and one may be called __proto__', async () => {
    await hear('dea-1', entry('x', 'i', { droplet: 17 }), entry('__proto__', 'constructor'));
    expect((await droplet('17')).instances).toHaveLength(1);
    expect((await droplet('__proto__')).instances).toMatchObject([{ guid: 'constructor' }]);
  });
});

describe('Redis', () => {
  test('what it refuses for one DEA does not hurt the others', async () => {
    const { client, keys } = of.context.redis;
    await client.set(keys.deaList('dea-2'), 'somebody wrote this');
    for (let n = 1; n <= 50; n++) intake.take(bytes(`dea-${n}`, [entry(`app-${n}`)]));
    await intake.idle();
    const digests = await client.hkeys(keys.deasDigest);
    expect(digests).toHaveLength(49);
    expect(digests).not.toContain('dea-2');
    expect(of.context.lines.filter(({ event }) => event === 'heartbeats_not_stored')).toHaveLength(1);
    await client.del(keys.deaList('dea-2'));
    await hear('dea-2', entry('app-2'));
    expect((await droplet('app-2')).instances).toHaveLength(1);
  });

  test('that comes back without its data gets everything from the next heartbeat', async () => {
    await hear('dea-1', ...hundred());
    const { port } = of.server;
    await of.server.stop();
    of.server = await startTestRedis(port);
    expect(await of.context.redis.client.dbsize()).toBe(0);
    of.context.clock.advance(10_000);
    const at = await hear('dea-1', ...hundred());
    expect(await droplet('app-99')).toMatchObject({ rev: 1, firstSeenMs: at, instances: [{ guid: 'i-99' }] });
    expect(await of.context.redis.client.hlen(of.context.redis.keys.deasDigest)).toBe(1);
  });
});
