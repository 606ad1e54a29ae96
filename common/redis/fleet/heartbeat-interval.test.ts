import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestContext, testContext } from '../../testing/context.ts';
import { heartbeatScripts } from '../../testing/redis/heartbeat-scripts.ts';
import { emptyRedis, startTestRedis, type TestRedis } from '../../testing/redis/server.ts';
import { heartbeatIntervalMs, shortLossWarning, watchHeartbeatInterval } from './heartbeat-interval.ts';

let redis: TestRedis;
let context: TestContext;
const LOST_MS = 30_000;
const scripts = heartbeatScripts(() => context.redis, LOST_MS);

beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis?.stop());
beforeEach(async () => {
  context = await testContext({ redis });
  await emptyRedis(context.redis.client);
});
afterEach(() => context.lifecycle.stop());

/** Each DEA sends heartbeats at these times. */
async function heartbeats(timesMs: readonly number[], deas = ['a', 'b', 'c', 'd']): Promise<void> {
  for (const dea of deas) {
    for (const atMs of timesMs) {
      const touched = await scripts.touch([dea, 'digest', atMs]);
      if (touched.length === 0) continue;
      await scripts.begin(atMs, dea);
      await scripts.finish(atMs, dea);
    }
  }
}

test('the interval is the median of those of the DEAs', async () => {
  expect(await heartbeatIntervalMs(context.redis)).toBeUndefined();
  await heartbeats([1_000], ['a', 'b', 'c']);
  expect(await heartbeatIntervalMs(context.redis)).toBeUndefined(); // one heartbeat shows no interval
  await heartbeats([11_000, 21_000], ['a', 'b', 'c']);
  await heartbeats([1_000, 1_500], ['d']);
  expect(await heartbeatIntervalMs(context.redis)).toBe(10_000);
});

test('an interval longer than droplet_lost is observed, too', async () => {
  await heartbeats([1_000, 41_000, 81_000]);
  expect(await heartbeatIntervalMs(context.redis)).toBe(40_000);
});

test('droplet_lost must be more than two intervals', () => {
  expect(shortLossWarning({ dropletLostMs: 30_000 }, undefined)).toBeUndefined();
  expect(shortLossWarning({ dropletLostMs: 30_000 }, 14_900)).toBeUndefined();
  expect(shortLossWarning({ dropletLostMs: 30_000 }, 15_000)).toBe(
    'intervals.droplet_lost: expected more than 2 heartbeat intervals of the DEAs (15 s each, as observed), got 30 s: a single late heartbeat counts as a loss',
  );
});

test('the warning is logged once and shown until it is over, and one observation is not enough', async () => {
  const { log, lines, health, lifecycle } = context;
  const warnings = () => lines.filter(({ event }) => event === 'config_warning').length;
  const policy = { dropletLostMs: LOST_MS };
  const observe = watchHeartbeatInterval({ redis: context.redis, policy, log, health, lifecycle });
  await observe();
  await heartbeats([1_000, 21_000, 41_000]);
  await observe();
  expect([warnings(), health.warnings().size]).toEqual([0, 0]);
  await observe();
  await observe();
  expect(warnings()).toBe(1);
  expect(health.warnings().get('settings')).toContain('(20 s each, as observed), got 30 s');
  await heartbeats([51_000, 61_000]);
  await observe();
  expect([warnings(), health.warnings().size]).toEqual([1, 0]);
});
