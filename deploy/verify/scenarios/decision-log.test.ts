import { afterEach, describe, expect, test } from 'vitest';
import { metricValue } from '../../../common/testing/context.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
afterEach(() => world.stop());

describe('the decision log', () => {
  test('has each message under the id of its header: decided, then sent', async () => {
    world = await cloud();
    const [first, second] = await healthyApp(world, 'app', 2);
    await end(world, first, 'CRASHED');
    await world.desire('app', { state: 'STOPPED' });
    const sent = world.takeSent();
    expect(sent.map(({ kind }) => kind)).toEqual(['start', 'stop']);
    const log = await world.decisions('app');
    for (const { decision, kind, reason } of sent) {
      expect(log.filter(({ id }) => id === decision).map((entry) => [entry.kind, entry.reason])).toEqual([
        [kind, reason],
        ['sent', reason],
      ]);
    }
    expect(log.find(({ kind }) => kind === 'stop')).toMatchObject({ instance: second });
  });

  test('says when a hold keeps something back, once', async () => {
    world = await cloud();
    await world.desire('late', {});
    await world.end('sync');
    await world.advance(29);
    world.cc.faults.status = { code: 500 };
    await world.updated('late');
    await world.advance(60);
    expect(world.takeAsked()).toEqual([]);
    const held = (await world.decisions('late')).filter(({ kind }) => kind === 'held');
    expect(held).toMatchObject([{ what: 'start', index: 0, reason: 'missing', hold: 'update_required' }]);
  });
});

test('dry_run: everything is decided and logged, and nothing is said', async () => {
  world = await cloud({ settings: { dryRun: true } });
  const [first] = await healthyApp(world, 'app', 2);
  await end(world, first, 'CRASHED');
  await world.desire('app', { state: 'STOPPED' });
  expect(world.sent).toEqual([]);
  const log = await world.decisions('app');
  expect(log.map(({ kind }) => kind).filter((kind) => ['start', 'stop', 'sent'].includes(kind))).toEqual([
    'start',
    'sent',
    'stop',
    'sent',
  ]);
  expect(world.logged('dry_run')).toHaveLength(2);
  const nudger = world.running.find(({ name }) => name === 'nudger');
  const outcomes = (outcome: string) =>
    metricValue(nudger!.context.metrics, 'hm_decision_outcomes_total', { outcome });
  expect([await outcomes('sent'), await outcomes('dry_run')]).toEqual([0, 2]);
});
