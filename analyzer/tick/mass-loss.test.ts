import { beforeEach, expect, test } from 'vitest';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { withScripts } from '../../common/testing/redis/scripts.ts';
import { type AnalyzerMetrics, analyzerMetrics } from '../metrics.ts';
import { evaluateMassLoss } from './mass-loss.ts';

const of = useRedis();
let metrics: AnalyzerMetrics;
beforeEach(() => {
  of.context.metrics.clear();
  metrics = analyzerMetrics(of.context.metrics);
});

test('each evaluation stores the streak of evaluations, also one that finds no late DEA', async () => {
  const { redis, clock, log, settings } = of.context;
  const { client, keys } = redis;
  const evaluate = () => evaluateMassLoss({ redis, clock, log, metrics, policy: settings.policy });
  const stored = () => client.hgetall(keys.holds);
  const sinceMs = clock.nowMs();
  await evaluate();
  expect(await stored()).toEqual({ mass_loss_evaluated: `${sinceMs} ${sinceMs}` });
  clock.advance(settings.policy.dropletLostMs / 3);
  await evaluate();
  expect(await stored()).toEqual({ mass_loss_evaluated: `${sinceMs} ${clock.nowMs()}` });
  const beforeGapMs = clock.nowMs();
  clock.advance(settings.policy.dropletLostMs / 3 + 1);
  await evaluate();
  expect(await stored()).toEqual({
    mass_loss_evaluated: `${clock.nowMs()} ${clock.nowMs()} ${beforeGapMs}`,
  });
});

test('an evaluation that another one overtook stores nothing', async () => {
  const { redis, clock, log, settings } = of.context;
  const { client, keys } = redis;
  const slow = withScripts(redis, ['swap_hold'], async (run) => {
    await client.hset(keys.holds, 'mass_loss', '{"sinceMs":1,"lateDeas":["a"]}');
    return run();
  });
  await evaluateMassLoss({ redis: slow, clock, log, metrics, policy: settings.policy });
  expect(await client.hgetall(keys.holds)).toEqual({ mass_loss: '{"sinceMs":1,"lateDeas":["a"]}' });
});

test('an unreadable state is logged, counted and evaluated from scratch', async () => {
  const { redis, clock, log, settings, lines } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.holds, 'mass_loss', '{"sinceMs":');
  const evaluate = () => evaluateMassLoss({ redis, clock, log, metrics, policy: settings.policy });
  await evaluate();
  expect(await client.hget(keys.holds, 'mass_loss')).toBe('{"lateDeas":[]}');
  await evaluate();
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
  expect(await stored()).toBe(`${clock.nowMs()} ${clock.nowMs()} ${clock.nowMs() - 3_001}`);
});
