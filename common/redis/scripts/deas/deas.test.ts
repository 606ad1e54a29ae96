import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/redis/heartbeat-scripts.ts';
import { expireDea } from './expire-dea.ts';
import { listLostDeas } from './list-lost-deas.ts';
import { releaseDea } from './release-dea.ts';

const of = useRedis();
const redis = () => of.context.redis;
const LOST = 30_000;
const { touch, begin, finish, heartbeatsOf } = heartbeatScripts(redis, LOST);

describe('list_lost_deas', () => {
  const lost = async (nowMs: number) =>
    (await listLostDeas(redis(), { lostBeforeMs: nowMs - LOST })).map(({ dea, lastHeartbeatMs }) => [
      dea,
      lastHeartbeatMs,
    ]);

  test('a DEA is lost once its silence is longer than droplet_lost, until it is marked', async () => {
    const { client, keys } = redis();
    await client.zadd(keys.deasLastHeartbeat, 1000, 'a', 2000, 'b');
    expect(await lost(1000 + LOST)).toEqual([]);
    expect(await lost(1001 + LOST)).toEqual([['a', 1000]]);
    expect(await lost(2001 + LOST)).toEqual([
      ['a', 1000],
      ['b', 2000],
    ]);
    await client.zadd(keys.deasLost, 1000, 'a');
    expect(await lost(2001 + LOST)).toEqual([['b', 2000]]);
    await client.zadd(keys.deasLastHeartbeat, 5000, 'a');
    expect(await lost(5001 + LOST)).toEqual([
      ['b', 2000],
      ['a', 5000],
    ]);
  });
});

describe('expire_dea', () => {
  test('removes everything of a silent DEA, and nothing of one that sent a heartbeat', async () => {
    const { client, keys } = redis();
    for (const dea of ['a', 'b']) {
      await begin(1000, dea, line('x'));
      await finish(1000, dea, 'A');
      await touch([dea, 'A', 2000]);
      await client.hset(keys.deasShutdown, dea, 1);
      await client.zadd(keys.deasLost, 2000, dea);
    }
    const expire = (dea: string, beforeMs: number) => expireDea(redis(), { dea, beforeMs });
    expect(await expire('a', 2000)).toBe('kept');
    expect(await heartbeatsOf('a')).toEqual([2000, 1000]);
    expect(await expire('a', 2001)).toBe('expired');
    expect(await expire('a', 2001)).toBe('expired');
    expect(await heartbeatsOf('a')).toEqual([undefined, undefined]);
    expect(await heartbeatsOf('b')).toEqual([2000, 1000]);
    const left = await Promise.all([
      client.hkeys(keys.deasDigest),
      client.hkeys(keys.deasCount),
      client.hkeys(keys.deasShutdown),
      client.zrange(keys.deasLost, '0', '-1'),
      client.keys(keys.deaList('*')),
    ]);
    expect(left).toEqual([['b'], ['b'], ['b'], ['b'], [keys.deaList('b')]]);
  });
});

describe('release_dea', () => {
  test('a heartbeat that has begun cannot end after others took over its instances; the next one is stored whole', async () => {
    await begin(1000, 'a', line('x'));
    expect(await releaseDea(redis(), { dea: 'a', lateBeforeMs: Number.POSITIVE_INFINITY })).toBe('released');
    expect(await finish(1000, 'a', 'A')).toBe('superseded');
    expect(await touch(['a', 'A', 2000])).toEqual(['a']);
  });
});
