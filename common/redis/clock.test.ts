import { describe, expect, test } from 'vitest';
import { testContext } from '../testing/context.ts';
import { startTestRedis } from '../testing/redis/server.ts';
import { startClock } from './clock.ts';
import { deploymentTime } from './scripts/fleet/deployment-time.ts';

describe('the one clock', () => {
  test('is that of Redis, not of this host, and never steps back', async () => {
    const server = await startTestRedis();
    const { redis, lifecycle } = await testContext({ redis: server });
    try {
      const clock = await startClock(redis, lifecycle);
      const [seconds] = await redis.client.time();
      expect(Math.abs(clock.nowMs() - Number(seconds) * 1000)).toBeLessThan(1500);

      // Redis has moved to a host whose clock is an hour behind.
      const hourMs = 3_600_000;
      await redis.client.hset(redis.keys.clock, 'last', clock.nowMs() + hourMs);
      const later = await startClock(redis, lifecycle);
      expect(later.nowMs() - clock.nowMs()).toBeGreaterThanOrEqual(hourMs - 50);
      const again = await startClock(redis, lifecycle);
      expect(Math.abs(again.nowMs() - later.nowMs())).toBeLessThan(50);

      // A process's own time is kept, too, after Redis has lost its data.
      await redis.client.del(redis.keys.clock);
      const own = clock.nowMs() + 2 * hourMs;
      expect(await deploymentTime(redis, { knownMs: own })).toBeGreaterThanOrEqual(own);
    } finally {
      await lifecycle.stop();
      await server.stop();
    }
  });

  test.each([
    ['last', 'soon'],
    ['ahead', 'text'],
    ['last', '999999999999999'],
    ['ahead', '999999999999999'],
    ['last', '-5'],
    ['ahead', 'nan'],
    ['last', 'inf'],
    ['', ''],
  ])('what somebody edited counts as missing: %s %s', async (field, value) => {
    const server = await startTestRedis();
    const { redis, lifecycle } = await testContext({ redis: server });
    try {
      const { client, keys } = redis;
      if (field === '') await client.set(keys.clock, 'another type');
      else await client.hset(keys.clock, field, value);
      const [seconds] = await client.time();
      for (let call = 0; call < 2; call++)
        expect(Math.abs((await deploymentTime(redis)) - Number(seconds) * 1000)).toBeLessThan(3000);
    } finally {
      await lifecycle.stop();
      await server.stop();
    }
  });
});
