import { afterEach, describe, expect, test } from 'vitest';
import { metricValue } from '../../../common/testing/context.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

describe('the decision log', () => {
  test('has two entries for the id in the header of each message: decided, then sent', async () => {
    deployment = await startCloud();
    const [first, second] = await healthyApp(deployment, 'app', 2);
    await endInstance(deployment, first, 'CRASHED');
    await deployment.desire('app', { state: 'STOPPED' });
    const sent = deployment.takeSentMessages();
    expect(sent.map(({ kind }) => kind)).toEqual(['start', 'stop']);
    const log = await deployment.decisions('app');
    for (const { decision, kind, reason } of sent) {
      expect(log.filter(({ id }) => id === decision).map((entry) => [entry.kind, entry.reason])).toEqual([
        [kind, reason],
        ['sent', reason],
      ]);
    }
    expect(log.find(({ kind }) => kind === 'stop')).toMatchObject({ instance: second });
  });

  test('records once that a hold delays a decision', async () => {
    deployment = await startCloud();
    await deployment.desire('late', {});
    await deployment.processes.stop('sync');
    await deployment.advance(29);
    deployment.controller.faults.status = { code: 500 };
    await deployment.announceUpdate('late');
    await deployment.advance(60);
    expect(deployment.takeSent()).toEqual([]);
    const held = (await deployment.decisions('late')).filter(({ kind }) => kind === 'held');
    expect(held).toMatchObject([{ what: 'start', index: 0, reason: 'missing', hold: 'update_required' }]);
  });
});

test('dry_run: everything is decided and logged, and nothing is sent', async () => {
  deployment = await startCloud({ settings: { dryRun: true } });
  const [first] = await healthyApp(deployment, 'app', 2);
  await endInstance(deployment, first, 'CRASHED');
  await deployment.desire('app', { state: 'STOPPED' });
  expect(deployment.sent).toEqual([]);
  const log = await deployment.decisions('app');
  expect(log.map(({ kind }) => kind).filter((kind) => ['start', 'stop', 'sent'].includes(kind))).toEqual([
    'start',
    'sent',
    'stop',
    'sent',
  ]);
  expect(deployment.logged('dry_run')).toHaveLength(2);
  const nudger = deployment.processes.find('nudger');
  const outcomes = (outcome: string) =>
    metricValue(nudger!.context.metrics, 'hm_decision_outcomes_total', { outcome });
  expect([await outcomes('sent'), await outcomes('dry_run')]).toEqual([0, 2]);
});
