import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;

beforeAll(async () => {
  // DEAs die here one after the other, which must not raise mass_loss.
  deployment = await startCloud({
    policy: { massLoss: { fraction: 0.55, minimumDeas: 100, holdMs: 300_000 } },
  });
});

afterAll(() => deployment.stop());

describe('evacuated', () => {
  test('an instance is started elsewhere when its DEA shuts down', async () => {
    const [first] = await healthyApp(deployment, 'shut', 1);
    await endInstance(deployment, first, 'DEA_SHUTDOWN');
    expect(deployment.takeSent('shut')).toEqual(['start shut/0 (evacuated)']);
  });

  test('an instance is started elsewhere once when its DEA evacuates, though heartbeats go on listing it', async () => {
    const [first] = await healthyApp(deployment, 'leaving', 1);
    await endInstance(deployment, first, 'DEA_EVACUATION');
    expect(deployment.takeSent('leaving')).toEqual(['start leaving/0 (evacuated)']);
    await deployment.advance(25);
    expect(deployment.takeSent('leaving')).toEqual([]);
  });

  test('so is an instance before its first heartbeat, which does not cause a second start', async () => {
    await deployment.desire('hasty', {});
    const guid = deployment.dea('dea-1').run('hasty', 0);
    await endInstance(deployment, guid, 'DEA_EVACUATION');
    expect(deployment.takeSent('hasty')).toEqual(['start hasty/0 (evacuated)']);
    await deployment.advance(25);
    expect(deployment.takeSent('hasty')).toEqual([]);
  });

  test('an instance is started elsewhere when a heartbeat lists it as EVACUATING without an exit before', async () => {
    const [first, second] = await healthyApp(deployment, 'unannounced', 2);
    deployment.dea('dea-1').changeState(first as string, 'EVACUATING');
    await deployment.heartbeat();
    expect(deployment.takeSent('unannounced')).toEqual(['start unannounced/0 (evacuated)']);
    deployment.dea('dea-2').changeState(second as string, 'EVACUATING');
    deployment.dea('dea-3').run('unannounced', 1, undefined, 'STARTING');
    await deployment.heartbeat();
    expect(deployment.takeSent('unannounced')).toEqual([]);
  });

  test.each(['DEA_SHUTDOWN', 'DEA_EVACUATION'] as const)(
    'an instance that is not wanted any more is not started elsewhere (%s)',
    async (reason) => {
      const [first] = await healthyApp(deployment, reason, 1);
      await deployment.desire(reason, { state: 'STOPPED' });
      deployment.takeSentMessages(reason);
      await endInstance(deployment, first, reason);
      expect(deployment.takeSent(reason).filter((request) => request.startsWith('start'))).toEqual([]);
    },
  );
});
