import { beforeEach, expect, test } from 'vitest';
import { holdsFrom } from '../../../common/redis/fleet/holds/holds.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { detectFailover } from '../../../common/redis/scripts/fleet/detect-failover.ts';
import { publishWatermark } from '../../../common/redis/scripts/fleet/publish-watermark.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { withScripts } from '../../../common/testing/redis/scripts.ts';
import { createIntake, entry, heartbeatBytes } from '../../../deploy/verify/fixtures/heartbeats.ts';
import type { HeartbeatIntake } from '../intake.ts';

/**
 * A cluster node is replaced and its latest writes are lost. Here: a droplet's record returns to an earlier state, while
 * what was written at the same time about its DEA stays.
 */
const fixture = useRedis();
let intake: HeartbeatIntake;

beforeEach(async () => {
  intake = createIntake(fixture.context, fixture.context.redis);
  await masters('a', 'b', 'c');
});

/**
 * One process compares the servers of the cluster: replication ids of masters, `master <id>`, `replica <id>`.
 *
 * @returns whether one is new
 */
async function masters(...servers: string[]): Promise<boolean> {
  const named = (role: string) =>
    servers.filter((server) => server.startsWith(`${role} `)).map((server) => server.slice(role.length + 1));
  const result = await detectFailover(fixture.context.redis, {
    replicationIds: servers.filter((server) => !server.includes(' ')),
    masters: named('master'),
    replicas: named('replica'),
  });
  return result === 'changed';
}

/** Receives a heartbeat of dea-1 that lists instances of `app`, or `<droplet>/<instance>`. */
async function receive(...instances: string[]): Promise<void> {
  fixture.context.clock.advance(10_000);
  const droplets = instances
    .map((text) => text.split('/').reverse())
    .map(([instance, droplet = 'app']) => entry(droplet, instance));
  intake.take(heartbeatBytes('dea-1', droplets));
  await intake.idle();
}

/** Guids of the instances in the record; those that their DEA no longer lists are in brackets. */
async function recordedInstances(): Promise<string[]> {
  const [droplet] = await readDroplets(fixture.context.redis, ['app']);
  if (droplet === undefined || droplet instanceof Error) return [];
  return droplet.instances
    .map(({ guid, lastListedMs }) => (lastListedMs === undefined ? guid : `(${guid})`))
    .sort();
}

/** Runs `writes`, then restores the keys of the droplet to their state before. */
async function losing(writes: () => Promise<void>): Promise<void> {
  const { client, keys } = fixture.context.redis;
  const lost = [keys.droplet('app'), keys.due(keys.sliceOf('app')), keys.indexOf('app')];
  const before = await Promise.all(lost.map((key) => client.dumpBuffer(key)));
  await writes();
  await client.del(...lost);
  await Promise.all(
    before.map((dump, at) => (dump === null ? undefined : client.restore(lost[at] as string, 0, dump))),
  );
}

test('an instance whose first report was lost is stored again by the next heartbeat, although that is equal', async () => {
  await receive('i1');
  await losing(() => receive('i1', 'i2'));
  await receive('i1', 'i2');
  expect(await recordedInstances()).toEqual(['i1']); // the failover is not detected yet
  expect(await masters('a', 'b', 'C')).toBe(true);
  await receive('i1', 'i2');
  expect(await recordedInstances()).toEqual(['i1', 'i2']);
});

test('an instance whose end was lost is marked again by the next heartbeat', async () => {
  await receive('i1');
  await losing(() => receive());
  expect(await recordedInstances()).toEqual(['i1']);
  expect(await masters('a', 'b', 'C')).toBe(true);
  await receive();
  expect(await recordedInstances()).toEqual(['(i1)']);
});

test('an instance whose end was lost is marked again even after other changes of its DEA', async () => {
  await receive('i1');
  await losing(() => receive());
  await receive('other/i2');
  await receive('other/i3');
  expect(await masters('a', 'b', 'C')).toBe(true);
  await receive('other/i3');
  expect(await recordedInstances()).toEqual(['(i1)']);
});

test('droplets that left the list of a DEA are kept for two minutes', async () => {
  const gone = async () =>
    (await fixture.context.redis.client.hget(fixture.context.redis.keys.deaList('dea-1'), 'delisted')) ?? '';
  await receive('i1');
  await receive('other/i2');
  expect(await gone()).toMatch(/^\d+ app\n$/);
  for (let n = 0; n < 11; n++) await receive('other/i2', `i${n}`);
  expect(await gone()).toBe(''); // it is listed again
  await receive('other/i2');
  for (let n = 0; n < 12; n++) await receive('other/i2', `third/i${n}`);
  expect(await gone()).toMatch(/^\d+ app\n$/);
  await receive('other/i2', 'third/last');
  expect(await gone()).toBe('');
});

test('a failover detected while a heartbeat is being stored affects that heartbeat too', async () => {
  const { redis } = fixture.context;
  await receive('i1');
  const losingRedis = withScripts(redis, ['finish_heartbeat'], async (run) => {
    expect(await masters('a', 'b', 'C')).toBe(true);
    return run();
  });
  const storing = intake;
  intake = createIntake(fixture.context, losingRedis);
  await losing(() => receive('i1', 'i2'));
  intake = storing;
  await receive('i1', 'i2');
  expect(await recordedInstances()).toEqual(['i1', 'i2']);
});

test('every failover between the same two servers is detected', async () => {
  expect(await masters('a', 'b', 'c', 'master 3', 'replica 33')).toBe(true);
  expect(await masters('a', 'b', 'c', 'master 3', 'replica 33')).toBe(false);
  expect(await masters('a', 'b', 'C', 'master 33')).toBe(true);
  expect(await masters('a', 'b', 'C', 'master 33', 'replica 3')).toBe(true);
  expect(await masters('a', 'b', 'C', 'master 33', 'replica 3')).toBe(false);
  expect(await masters('a', 'b', 'CC', 'master 3')).toBe(true);
  // Only now the other server has become a replica; the writes that it took until then are lost.
  expect(await masters('a', 'b', 'CC', 'master 3', 'replica 33')).toBe(true);
});

test('unchanged droplets are stored once more after a failover, and only once', async () => {
  await receive('i1');
  await masters('a', 'b', 'C');
  await receive('i1');
  const { client, keys } = fixture.context.redis;
  const rev = await client.hget(keys.droplet('app'), 'rev');
  await receive('i1');
  expect(await client.hget(keys.droplet('app'), 'rev')).toBe(rev);
  expect(await masters('a', 'b', 'C')).toBe(false);
  expect(await masters('a', 'C')).toBe(false); // a server that does not answer is no failover
});

test('after a failover both holds stay on until everything is stored again', async () => {
  const { redis, clock, settings } = fixture.context;
  const { client, keys } = redis;
  const holds = async () => {
    const { desiredUnavailable, actualNotFresh } = holdsFrom(
      await readFleetFacts(redis),
      clock.nowMs(),
      settings.policy,
    );
    return { desiredUnavailable, actualNotFresh };
  };
  await client.hset(keys.listening, 'generation', 0);
  const listen = async (forMs: number) => {
    for (let ms = 0; ms <= forMs; ms += 5_000) {
      const nowMs = clock.nowMs();
      await publishWatermark(redis, {
        ingestor: 'ingestor',
        nowMs,
        watermarkMs: nowMs,
        gapMs: 10_000,
        silenceMs: 5_000,
        keepGapsMs: 300_000,
        generation: 0,
        ...{ host: 'test', pid: 1 },
        mayHaveLost: false,
        mayTakeOver: false,
        gone: [],
      });
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
  expect(await client.hget(keys.syncState, 'requested')).toBe(await client.hget(keys.syncState, 'begun'));
  await listen(25_000);
  expect(await holds()).toEqual({ desiredUnavailable: true, actualNotFresh: true });
  await listen(10_000);
  expect(await holds()).toEqual({ desiredUnavailable: true, actualNotFresh: false });
  await passed();
  expect(await holds()).toEqual({ desiredUnavailable: false, actualNotFresh: false });
});

test('the memory for failovers is bounded', async () => {
  for (let n = 0; n < 600; n++) await masters('a', `b${n}`);
  const { client, keys } = fixture.context.redis;
  expect(await client.hlen(keys.failover)).toBeLessThan(300);
  expect(await client.hget(keys.failover, 'data_epoch')).toBe('601');
});
