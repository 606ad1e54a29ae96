import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/heartbeat-scripts.ts';

const of = useRedis();
const redis = () => of.context.redis;
const LOST = 30_000;
const { deasLastHeartbeat, begin, finish, heard } = heartbeatScripts(redis, LOST);

describe('list_lost_deas', () => {
  const lost = (nowMs: number) =>
    redis().scripts.listLostDeas([redis().keys.deasLastHeartbeat, redis().keys.deasLost], [nowMs, LOST]);

  test('a silence counts once it is longer than droplet_lost, until it is marked', async () => {
    const { client, keys } = redis();
    await client.zadd(keys.deasLastHeartbeat, 1000, 'a', 2000, 'b');
    expect(await lost(1000 + LOST)).toEqual([]);
    expect(await lost(1001 + LOST)).toEqual(['a', '1000']);
    expect(await lost(2001 + LOST)).toEqual(['a', '1000', 'b', '2000']);
    await client.zadd(keys.deasLost, 1000, 'a');
    expect(await lost(2001 + LOST)).toEqual(['b', '2000']);
    await client.zadd(keys.deasLastHeartbeat, 5000, 'a');
    expect(await lost(5001 + LOST)).toEqual(['b', '2000', 'a', '5000']);
  });
});

describe('expire_dea', () => {
  test('removes all of a DEA that is silent, and nothing of one that was heard', async () => {
    const { client, keys, scripts } = redis();
    for (const dea of ['a', 'b']) {
      await begin(1000, dea, line('x'));
      await finish(1000, dea, 'A');
      await deasLastHeartbeat([dea, 'A', 2000]);
      await client.hset(keys.deasShutdown, dea, 1);
      await client.zadd(keys.deasLost, 2000, dea);
    }
    const forget = (dea: string, before: number) =>
      scripts.expireDea(
        [
          keys.deasLastHeartbeat,
          keys.deasPreviousHeartbeat,
          keys.deasDigest,
          keys.deasCount,
          keys.deasShutdown,
          keys.deasLost,
          keys.deaList(dea),
        ],
        [dea, before],
      );
    expect(await forget('a', 2000)).toBe(0);
    expect(await heard('a')).toEqual([2000, 1000]);
    expect(await forget('a', 2001)).toBe(1);
    expect(await forget('a', 2001)).toBe(1);
    expect(await heard('a')).toEqual([undefined, undefined]);
    expect(await heard('b')).toEqual([2000, 1000]);
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
