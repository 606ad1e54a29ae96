import { beforeEach, expect, test } from 'vitest';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { holdsFrom } from '../../common/redis/holds.ts';
import { readDroplets, readFleetFacts } from '../../common/redis/readers.ts';
import { useRedis } from '../../common/testing/context.ts';
import { ingestMetrics } from '../metrics.ts';
import { HeartbeatIntake } from './intake.ts';

/**
 * A node of a cluster takes over without the last writes of its slots. Here: a droplet's record goes back to what it
 * was, while what was written at the same time about its DEA stays.
 */
const of = useRedis();
let intake: HeartbeatIntake;

beforeEach(async () => {
  intake = intakeOn(of.context.redis);
  await masters('a', 'b', 'c');
});

function intakeOn(redis: RedisConnections): HeartbeatIntake {
  const { clock, log, metrics } = of.context;
  metrics.clear();
  return new HeartbeatIntake({
    redis,
    clock,
    log,
    metrics: ingestMetrics(metrics),
    ccPartition: 'default',
    dropletLostMs: 30_000,
    rejected: () => undefined,
  });
}

/** The cluster's servers as a process sees them: replication ids of masters, `master <id>`, `replica <id>`. @returns whether one is new */
function masters(...seen: string[]): Promise<number> {
  const { scripts, keys } = of.context.redis;
  return scripts.detectFailover([keys.failover, keys.listening, keys.deasDigest, keys.syncState], seen);
}

/** The DEA says what it runs: instances of `app`, or `<droplet>/<instance>`. */
async function hear(...instances: string[]): Promise<void> {
  of.context.clock.advance(10_000);
  const droplets = instances
    .map((text) => text.split('/').reverse())
    .map(([instance, droplet = 'app']) => ({
      cc_partition: 'default',
      droplet,
      version: 'v1',
      instance,
      index: 0,
      state: 'RUNNING',
      state_timestamp: 1,
    }));
  intake.take(Buffer.from(JSON.stringify({ droplets, dea: 'dea-1' })));
  await intake.idle();
}

/** Guids of the instances that the record has, those that their DEA lists no more in brackets. */
async function known(): Promise<string[]> {
  const [droplet] = await readDroplets(of.context.redis, ['app']);
  if (droplet === undefined || droplet instanceof Error) return [];
  return droplet.instances
    .map(({ guid, lastListedMs }) => (lastListedMs === undefined ? guid : `(${guid})`))
    .sort();
}

/** What is written meanwhile to the droplet's slots is lost. */
async function losing(writes: () => Promise<void>): Promise<void> {
  const { client, keys } = of.context.redis;
  const lost = [keys.droplet('app'), keys.due(keys.sliceOf('app')), keys.indexOf('app')];
  const before = await Promise.all(lost.map((key) => client.dumpBuffer(key)));
  await writes();
  await client.del(...lost);
  await Promise.all(
    before.map((dump, at) => (dump === null ? undefined : client.restore(lost[at] as string, 0, dump))),
  );
}

test('an instance whose first report is lost is known again with the next heartbeat, equal as it is', async () => {
  await hear('i1');
  await losing(() => hear('i1', 'i2'));
  await hear('i1', 'i2');
  expect(await known()).toEqual(['i1']); // nobody has noticed yet
  expect(await masters('a', 'b', 'C')).toBe(1);
  await hear('i1', 'i2');
  expect(await known()).toEqual(['i1', 'i2']);
});

test('an instance whose end is lost is known to be gone with the next heartbeat', async () => {
  await hear('i1');
  await losing(() => hear());
  expect(await known()).toEqual(['i1']);
  expect(await masters('a', 'b', 'C')).toBe(1);
  await hear();
  expect(await known()).toEqual(['(i1)']);
});

test('... also if the DEA had more to tell before anybody noticed', async () => {
  await hear('i1');
  await losing(() => hear());
  await hear('other/i2');
  await hear('other/i3');
  expect(await masters('a', 'b', 'C')).toBe(1);
  await hear('other/i3');
  expect(await known()).toEqual(['(i1)']);
});

test('what a DEA took from its list is remembered for two minutes, and not for longer', async () => {
  const gone = async () =>
    (await of.context.redis.client.hget(of.context.redis.keys.deaList('dea-1'), 'gone')) ?? '';
  await hear('i1');
  await hear('other/i2');
  expect(await gone()).toMatch(/^\d+ app\n$/);
  for (let n = 0; n < 11; n++) await hear('other/i2', `i${n}`);
  expect(await gone()).toBe(''); // it is listed again
  await hear('other/i2');
  for (let n = 0; n < 12; n++) await hear('other/i2', `third/i${n}`);
  expect(await gone()).toMatch(/^\d+ app\n$/);
  await hear('other/i2', 'third/last');
  expect(await gone()).toBe('');
});

test('a loss that is noticed while a heartbeat is being stored counts for that one, too', async () => {
  const { redis } = of.context;
  await hear('i1');
  const finishHeartbeat: typeof redis.scripts.finishHeartbeat = async (keys, args) => {
    expect(await masters('a', 'b', 'C')).toBe(1);
    return redis.scripts.finishHeartbeat(keys, args);
  };
  const storing = intake;
  intake = intakeOn({ ...redis, scripts: { ...redis.scripts, finishHeartbeat } });
  await losing(() => hear('i1', 'i2'));
  intake = storing;
  await hear('i1', 'i2');
  expect(await known()).toEqual(['i1', 'i2']);
});

test('two servers that change places again and again are noticed each time', async () => {
  expect(await masters('a', 'b', 'c', 'master 3', 'replica 33')).toBe(1);
  expect(await masters('a', 'b', 'c', 'master 3', 'replica 33')).toBe(0);
  expect(await masters('a', 'b', 'C', 'master 33')).toBe(1);
  expect(await masters('a', 'b', 'C', 'master 33', 'replica 3')).toBe(1);
  expect(await masters('a', 'b', 'C', 'master 33', 'replica 3')).toBe(0);
  expect(await masters('a', 'b', 'CC', 'master 3')).toBe(1);
  // Only now does the other one know that it was replaced: what it took until then is lost.
  expect(await masters('a', 'b', 'CC', 'master 3', 'replica 33')).toBe(1);
});

test('what is known already is stored once more, and once only', async () => {
  await hear('i1');
  await masters('a', 'b', 'C');
  await hear('i1');
  const { client, keys } = of.context.redis;
  const rev = await client.hget(keys.droplet('app'), 'rev');
  await hear('i1');
  expect(await client.hget(keys.droplet('app'), 'rev')).toBe(rev);
  expect(await masters('a', 'b', 'C')).toBe(0);
  expect(await masters('a', 'C')).toBe(0); // one that does not answer is no news
});

test('until all is stored anew, neither what should run nor what does is acted on', async () => {
  const { redis, clock, settings } = of.context;
  const { client, keys, scripts } = redis;
  const holds = async () => {
    const { desiredUnavailable, actualNotFresh } = holdsFrom(
      await readFleetFacts(redis),
      clock.nowMs(),
      settings.policy,
    );
    return { desiredUnavailable, actualNotFresh };
  };
  const listen = async (forMs: number) => {
    for (let ms = 0; ms <= forMs; ms += 5_000) {
      const nowMs = clock.nowMs();
      await scripts.publishWatermark(
        [keys.listening, keys.ingestors],
        [nowMs, 'ingestor', 10_000, 5_000, nowMs, ''],
      );
      if (ms < forMs) clock.advance(5_000);
    }
  };
  const passed = async () => {
    const nowMs = clock.nowMs();
    const dataEpoch = (await client.hget(keys.failover, 'data_epoch')) ?? '';
    await client.hset(keys.syncState, {
      begun: nowMs,
      completed: nowMs,
      succeeded: nowMs,
      rewritten_at_epoch: dataEpoch,
    });
  };
  await passed();
  await listen(30_000);
  expect(await holds()).toEqual({ desiredUnavailable: false, actualNotFresh: false });
  await masters('a', 'b', 'C');
  expect(await holds()).toEqual({ desiredUnavailable: true, actualNotFresh: true });
  expect(await client.hget(keys.syncState, 'wanted')).toBe(await client.hget(keys.syncState, 'begun'));
  await listen(25_000);
  expect(await holds()).toEqual({ desiredUnavailable: true, actualNotFresh: true });
  await listen(10_000);
  expect(await holds()).toEqual({ desiredUnavailable: true, actualNotFresh: false });
  await passed();
  expect(await holds()).toEqual({ desiredUnavailable: false, actualNotFresh: false });
});

test('however often nodes take over, what is remembered of them stays bounded', async () => {
  for (let n = 0; n < 600; n++) await masters('a', `b${n}`);
  const { client, keys } = of.context.redis;
  expect(await client.hlen(keys.failover)).toBeLessThan(300);
  expect(await client.hget(keys.failover, 'data_epoch')).toBe('601');
});
