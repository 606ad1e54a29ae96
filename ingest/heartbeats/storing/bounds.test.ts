import { describe, expect, test } from 'vitest';
import { encodeDesired } from '../../../common/redis/records/record-codec.ts';
import { metricValue } from '../../../common/testing/context.ts';
import { createIntake, entry, useIntake } from '../../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();
const clock = () => fixture.context.clock;
const instancesOf = async (droplet: string) => (await fixture.droplet(droplet)).instances;

const hasDigest = async (dea: string) =>
  Boolean(await fixture.context.redis.client.hget(fixture.context.redis.keys.deasDigest, dea));

const claimsRejected = (reason: string) =>
  metricValue(fixture.context.metrics, 'hm_claims_rejected_total', { reason });

const wanted = async (droplet: string, instances: number, version = 'v1') => {
  const { client, keys } = fixture.context.redis;
  const desired = {
    state: 'STARTED',
    packageState: 'STAGED',
    instances,
    version,
    memoryMb: 1,
    updatedAtS: 1,
  } as const;
  await client.hset(keys.droplet(droplet), 'desired', encodeDesired(desired), 'seen', '1', 'rev', '1');
  await client.hset(keys.indexOf(droplet), droplet, '');
};

describe('bounds', () => {
  const madeUp = (count: number, from = 0) =>
    Array.from({ length: count }, (_, n) =>
      entry('x', `made-up-${from + n}`, { index: (from + n) % 60_000 }),
    );

  test('a heartbeat of 5,000 made-up instances of one droplet stores 500', async () => {
    await fixture.receive('liar', ...madeUp(5000));
    expect(await instancesOf('x')).toHaveLength(500);
    expect(await claimsRejected('too_many_instances')).toBe(4500);
    await fixture.receive('liar', ...madeUp(5000, 5000));
    expect((await instancesOf('x')).length).toBeLessThanOrEqual(500);
  });

  test('a record full of made-up instances takes the one that fills a wanted slot, and keeps those that hold one', async () => {
    await wanted('x', 2);
    await fixture.receive('real', entry('x', 'held'));
    await fixture.receive('liar', ...madeUp(1000).map((one) => ({ ...one, index: 0 })));
    expect(await instancesOf('x')).toHaveLength(506);
    await fixture.receive(
      'other',
      entry('x', 'needed', { index: 1 }),
      entry('x', 'not-needed', { index: 2 }),
    );
    expect(await instancesOf('x')).toHaveLength(506);
    expect(await fixture.instance('x', 'held')).toMatchObject({ dea: 'real' });
    expect(await fixture.instance('x', 'needed')).toMatchObject({ dea: 'other' });
    expect(await fixture.instance('x', 'not-needed')).toBeUndefined();
  });

  test('crashed instances make room, the oldest first, and are not tried again', async () => {
    await fixture.receive('real', ...madeUp(500).map((one) => ({ ...one, state: 'CRASHED' })));
    clock().advance(1000);
    await fixture.receive('other', entry('x', 'runs'));
    expect(await fixture.instance('x', 'runs')).toBeDefined();
    expect(await instancesOf('x')).toHaveLength(500);
    await fixture.receive('other', entry('x', 'runs'), entry('x', 'ended', { state: 'CRASHED' }));
    expect(await fixture.instance('x', 'ended')).toBeUndefined();
    expect(await hasDigest('other')).toBe(true);
  });

  test('after a pass, heartbeats create only a bounded number of droplets that no pass listed', async () => {
    const { client, keys } = fixture.context.redis;
    await client.hset(keys.syncState, 'listed', '10');
    // What the latest pass listed is kept for some seconds by keys.
    fixture.intake = createIntake(fixture.context, { ...fixture.context.redis, keys: { ...keys } });
    const piece = keys.indexOf('x');
    await client.hset(piece, Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`n${n}`, ''])));
    await fixture.receive('liar', entry('x'));
    expect(await client.exists(keys.droplet('x'))).toBe(0);
    expect(await claimsRejected('too_many_droplets')).toBe(1);
    await wanted('x', 1);
    await fixture.receive('liar', entry('x'));
    expect(await instancesOf('x')).toHaveLength(1);
  });

  test('a DEA that replaced an evacuated instance holds its slot', async () => {
    const { client, keys } = fixture.context.redis;
    await wanted('x', 1);
    await fixture.receive('evacuated', entry('x'));
    clock().advance(1);
    await fixture.receive('evacuated', entry('x', 'x-0', { state: 'EVACUATING' }));
    expect(await client.hget(keys.deasWanted, 'evacuated')).toBe('1');
    clock().advance(1);
    await fixture.receive('next', entry('x', 'x-1'));
    expect(await client.hget(keys.deasWanted, 'next')).toBe('1');
  });

  test('a new DEA takes the place of the longest silent one that holds no wanted slot', async () => {
    const { client, keys } = fixture.context.redis;
    await wanted('x', 1);
    await fixture.receive('real', entry('x'));
    const nowMs = clock().advance(1);
    const many = Array.from({ length: 49_999 }, (_, n) => [nowMs, `dea-${n}`]).flat() as (string | number)[];
    for (let at = 0; at < many.length; at += 20_000)
      await client.zadd(keys.deasLastHeartbeat, ...many.slice(at, at + 20_000));
    clock().advance(1);
    await fixture.receive('new', entry('y'));
    expect(await client.zcard(keys.deasLastHeartbeat)).toBe(50_000);
    expect(await fixture.lastHeartbeatMs('new')).toBeDefined();
    expect(await fixture.lastHeartbeatMs('real')).toBeDefined();
    expect(await instancesOf('y')).toHaveLength(1);
  });

  test('one call with 5,000 made-up instances does not keep Redis from others for long', async () => {
    const { client } = fixture.context.redis;
    await wanted('x', 3);
    const usedCpuMs = async () => {
      const cpu = String(await client.info('cpu'));
      return (
        1000 * (Number(/used_cpu_sys:(\S+)/.exec(cpu)?.[1]) + Number(/used_cpu_user:(\S+)/.exec(cpu)?.[1]))
      );
    };
    await client.config('RESETSTAT');
    const before = await usedCpuMs();
    for (let n = 0; n < 5; n++) await fixture.receive(`liar-${n}`, ...madeUp(5000, n * 5000));
    const cpuMs = (await usedCpuMs()) - before;
    const calls = /cmdstat_evalsha:calls=(\d+)/.exec(String(await client.info('commandstats')));
    expect(cpuMs / Number(calls?.[1])).toBeLessThan(20);
  });
});
