import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
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

describe('crashed', () => {
  test('an instance that crashes is started at once', async () => {
    const [, second] = await healthyApp(deployment, 'crash', 3);
    await endInstance(deployment, second, 'CRASHED');
    expect(deployment.takeSent('crash')).toEqual(['start crash/1 (crashed)']);
  });

  test('so is an instance that was never in a heartbeat', async () => {
    await deployment.desire('stillborn', {});
    deployment
      .dea('dea-1')
      .sendExited({ droplet: 'stillborn', version: 'stillborn-v1', guid: 'never', index: 0 }, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('stillborn')).toEqual(['start stillborn/0 (crashed)']);
  });

  test('it is not started beside a live instance', async () => {
    const [first] = await healthyApp(deployment, 'beside', 1);
    deployment.dea('dea-2').run('beside', 0);
    await deployment.heartbeat();
    await endInstance(deployment, first, 'CRASHED');
    await deployment.advance(31);
    expect(deployment.takeSent('beside')).toEqual([]);
  });

  test('it is started once, however often its exit is sent', async () => {
    const [first] = await healthyApp(deployment, 'echo', 1);
    const exited = { droplet: 'echo', version: 'echo-v1', guid: first as string, index: 0 };
    await endInstance(deployment, first, 'CRASHED');
    for (let n = 0; n < 3; n++) deployment.dea('dea-1').sendExited(exited, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('echo')).toEqual(['start echo/0 (crashed)']);
    await deployment.advance(10);
    deployment.dea('dea-1').sendExited(exited, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('echo')).toEqual([]);
  });

  test.each([
    ['of a STOPPED app', { state: 'STOPPED' }, {}],
    ['of an app that is not staged', { package_state: 'PENDING' }, {}],
    ['of an old version', { version: 'v2' }, { version: 'v1' }],
    ['of an index out of range', { instances: 2 }, { index: 2 }],
    ['with null fields', {}, { version: null, index: null }],
    ['of an unknown app', undefined, {}],
  ])('a crash causes no start: %s', async (name, app, fields) => {
    if (app !== undefined) await deployment.desire(name, app);
    const exit = { droplet: name, version: `${name}-v1`, instance: `${name}!`, index: 0 };
    deployment.publish(SUBJECTS.exited, {
      ...exit,
      ...fields,
      reason: 'CRASHED',
      crash_timestamp: 1_700_000_000,
    });
    await deployment.settle();
    expect(deployment.takeSent(name)).toEqual([]);
  });

  test('an instance that crashes soon after its start counts as crashed', async () => {
    await deployment.desire('shortlived', {});
    await deployment.advance(31);
    expect(deployment.takeSent('shortlived')).toEqual(['start shortlived/0 (missing)']);
    const guid = deployment.dea('dea-1').run('shortlived', 0, undefined, 'STARTING');
    await deployment.heartbeat();
    await deployment.advance(3);
    await endInstance(deployment, guid, 'CRASHED');
    expect(deployment.takeSent('shortlived')).toEqual(['start shortlived/0 (crashed)']);
  });
});
