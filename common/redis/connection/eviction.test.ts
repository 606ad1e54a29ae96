import { expect, test } from 'vitest';
import { testContext } from '../../testing/context.ts';
import { startTestRedis } from '../../testing/redis/server.ts';
import { evictionRisk } from './eviction.ts';

test.each([
  ['allkeys-lru', true],
  ['volatile-ttl', true],
  ['noeviction', false],
])('a Redis with maxmemory-policy %s is warned of at start: %s', async (policy, isWarned) => {
  const server = await startTestRedis(undefined, ['--maxmemory-policy', policy]);
  const context = await testContext({ redis: server });
  try {
    const logged = context.lines.filter(({ event }) => event === 'redis_may_evict');
    expect(logged).toHaveLength(isWarned ? 1 : 0);
    const warning = `may evict keys (maxmemory-policy ${policy}): set maxmemory-policy noeviction`;
    expect([...context.health.warnings()]).toEqual(isWarned ? [['redis', warning]] : []);
    expect(context.health.ready()).toBe(true);
  } finally {
    await context.lifecycle.stop();
    await server.stop();
  }
});

test('a server that does not show its policy is not warned of', () => {
  expect(evictionRisk('# Memory\r\nused_memory:1\r\n')).toBeUndefined();
});
