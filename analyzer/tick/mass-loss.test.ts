import { beforeEach, expect, test } from 'vitest';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { type AnalyzerMetrics, analyzerMetrics } from '../metrics.ts';
import { evaluateMassLoss } from './mass-loss.ts';

const of = useRedis();
let metrics: AnalyzerMetrics;
beforeEach(() => {
  of.context.metrics.clear();
  metrics = analyzerMetrics(of.context.metrics);
});

test('each judgement says since when and until when there were some, also one that finds nothing', async () => {
  const { redis, clock, log, settings } = of.context;
  const { client, keys } = redis;
  const judge = () => evaluateMassLoss({ redis, clock, log, metrics, policy: settings.policy });
  const stored = () => client.hgetall(keys.holds);
  const sinceMs = clock.nowMs();
  await judge();
  expect(await stored()).toEqual({ mass_loss_evaluated: `${sinceMs} ${sinceMs}` });
  clock.advance(settings.policy.dropletLostMs / 3);
  await judge();
  expect(await stored()).toEqual({ mass_loss_evaluated: `${sinceMs} ${clock.nowMs()}` });
  clock.advance(settings.policy.dropletLostMs / 3 + 1);
  await judge();
  expect(await stored()).toEqual({ mass_loss_evaluated: `${clock.nowMs()} ${clock.nowMs()}` });
});

test('one that another one was quicker than says nothing', async () => {
  const { redis, clock, log, settings } = of.context;
  const { client, keys } = redis;
  const slow = {
    ...redis,
    scripts: {
      ...redis.scripts,
      swapHold: async (...call: Parameters<typeof redis.scripts.swapHold>) => {
        await client.hset(keys.holds, 'mass_loss', '{"sinceMs":1,"lateDeas":["a"]}');
        return redis.scripts.swapHold(...call);
      },
    },
  };
  await evaluateMassLoss({ redis: slow, clock, log, metrics, policy: settings.policy });
  expect(await client.hgetall(keys.holds)).toEqual({ mass_loss: '{"sinceMs":1,"lateDeas":["a"]}' });
});

test('a state that somebody edited into nonsense is told, counted and judged anew', async () => {
  const { redis, clock, log, settings, lines } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.holds, 'mass_loss', '{"sinceMs":');
  const judge = () => evaluateMassLoss({ redis, clock, log, metrics, policy: settings.policy });
  await judge();
  expect(await client.hget(keys.holds, 'mass_loss')).toBe('{"lateDeas":[]}');
  await judge();
  expect(await metricValue(of.context.metrics, 'hm_mass_loss_unreadable_total')).toBe(1);
  expect(lines.filter(({ event }) => event === 'unreadable_hold')).toMatchObject([{ hold: 'mass_loss' }]);
});

test('with a short droplet_lost three late ticks are no gap', async () => {
  const { redis, clock, log, settings } = of.context;
  const policy = { ...settings.policy, dropletLostMs: 4_000 };
  const sinceMs = clock.nowMs();
  for (let n = 0; n < 3; n++) {
    await evaluateMassLoss({ redis, clock, log, metrics, policy });
    clock.advance(3_000);
  }
  const stored = () => redis.client.hget(redis.keys.holds, 'mass_loss_evaluated');
  expect(await stored()).toBe(`${sinceMs} ${sinceMs + 6_000}`);
  clock.advance(1);
  await evaluateMassLoss({ redis, clock, log, metrics, policy });
  expect(await stored()).toBe(`${clock.nowMs()} ${clock.nowMs()}`);
});
