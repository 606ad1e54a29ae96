import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Deployment } from './deployment.ts';
import { isHm2 } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
beforeAll(async () => {
  // A third of the default times, so that the tests take a third of the time.
  const policy = {
    desiredStateLostMs: 60_000,
    dropletGcGraceMs: 80_000,
    dropletGcMs: 100_000,
    flappingTimeoutMs: 160_000,
  };
  deployment = await startCloud({ policy, settings: { syncPeriodMs: 20_000 } });
});
afterAll(() => deployment.stop());

const isStored = async (droplet: string) =>
  (await deployment.observer.client.exists(deployment.observer.keys.droplet(droplet))) === 1;

describe('extra_app', () => {
  test('instances of a deleted app are stopped desired_state_lost after the app was last listed', async () => {
    const [guid] = await healthyApp(deployment, 'deleted', 1);
    deployment.dea('dea-2').run('deleted', 0, undefined, 'EVACUATING');
    deployment.dea('dea-3').run('deleted', 1, undefined, 'STARTING');
    deployment.dea('dea-3').run('deleted', 2, undefined, 'CRASHED');
    await deployment.deleteApp('deleted');
    await deployment.advance(59);
    expect(deployment.takeSent('deleted')).toEqual([]);
    await deployment.advance(6);
    const sent = deployment.takeSentMessages('deleted');
    expect(sent.map(({ reason }) => reason)).toEqual(['extra_app', 'extra_app', 'extra_app']);
    const named = { instances: { [guid as string]: 'deleted-v1' }, running: { 'deleted-v1': 1 } };
    expect(sent.find(({ instance }) => instance === guid)?.message).toMatchObject(
      isHm2
        ? { droplet: 'deleted', last_updated: null, ...named, version: null }
        : { droplet: 'deleted', version: 'deleted-v1', is_duplicate: false },
    );
  });

  test('instances of an app that was never listed are stopped desired_state_lost after their first heartbeat, and their crashes cause no start', async () => {
    const guid = deployment.dea('dea-1').run('unknown', 0);
    await deployment.heartbeat();
    await deployment.advance(59);
    deployment
      .dea('dea-2')
      .sendExited({ droplet: 'unknown', version: 'unknown-v1', guid: 'x', index: 1 }, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('unknown')).toEqual([]);
    await deployment.advance(6);
    expect(deployment.takeSent('unknown')).toEqual([`stop ${guid} of unknown (extra_app)`]);
  });

  test('stops are repeated while the instance runs: clean-up keeps the droplet, and the delay does not start again', async () => {
    deployment.dea('dea-1').run('stubborn', 0);
    await deployment.advance(70);
    expect(deployment.takeSentMessages('stubborn')).toHaveLength(1);
    await deployment.advance(160);
    // One every droplet_lost while the instance is listed; never one with an empty list.
    expect(deployment.takeSentMessages('stubborn').length).toBeGreaterThanOrEqual(4);
  });

  test('a listed entry that cannot be parsed counts as listed', async () => {
    const guids = await healthyApp(deployment, 'garbled', 2);
    await deployment.desire('garbled', { instances: 'many' }, { announce: false });
    await deployment.desire('never read', { state: 7 }, { announce: false });
    deployment.dea('dea-1').run('never read', 0);
    await deployment.advance(150);
    expect([...deployment.takeSent('garbled'), ...deployment.takeSent('never read')]).toEqual([]);
    // Its last valid desired state stays in force, so its missing instance is started.
    await endInstance(deployment, guids[0], 'CRASHED');
    expect(deployment.takeSentMessages('garbled')).toMatchObject([{ reason: 'crashed', index: 0 }]);
    deployment.takeViolations(); // the referee cannot evaluate `instances: 'many'`
    await deployment.deleteApp('garbled');
    await deployment.deleteApp('never read');
  });
});

describe('clean-up', () => {
  test('removes a droplet that is neither desired nor running, with all its keys', async () => {
    const [guid] = await healthyApp(deployment, 'over', 1);
    await endInstance(deployment, guid, 'CRASHED');
    await deployment.deleteApp('over', { announce: false });
    deployment.publish(SUBJECTS.updated, { droplet: 'only updated' });
    await deployment.settle();
    expect(await isStored('only updated')).toBe(true);
    for (const dea of deployment.deas.values())
      for (const { guid: running } of dea.instances.values()) dea.forget(running);
    await deployment.advance(70);
    expect(await isStored('over')).toBe(true);
    await deployment.advance(200);
    expect(await isStored('over')).toBe(false);
    expect(await isStored('only updated')).toBe(false);
    const { client, keys } = deployment.observer;
    expect(await client.hexists(keys.indexOf('over'), 'over')).toBe(0);
    expect(await client.zscore(keys.due(keys.sliceOf('over')), 'over')).toBeNull();
  });

  test('removes a DEA ten times droplet_lost after its last heartbeat', async () => {
    const { client, keys } = deployment.observer;
    deployment.dea('brief').run('somewhere', 0);
    await deployment.heartbeat();
    expect(await client.zscore(keys.deasLastHeartbeat, 'brief')).not.toBeNull();
    deployment.deas.delete('brief');
    await deployment.advance(305);
    expect(await client.zscore(keys.deasLastHeartbeat, 'brief')).toBeNull();
    expect(await client.exists(keys.deaList('brief'))).toBe(0);
  });

  test('leaves no droplet and no job behind', async () => {
    for (const droplet of ['over', 'garbled', 'never read', 'deleted', 'unknown', 'stubborn', 'somewhere']) {
      await deployment.deleteApp(droplet, { announce: false });
    }
    await deployment.advance(200);
    const { client, keys } = deployment.observer;
    const droplets = (await client.call(
      'KEYS',
      `${keys.droplet('x').split(':')[0]}:*:droplet:*`,
    )) as string[];
    expect(droplets).toEqual([]);
    for (const name of ['starts', 'restarts', 'stops'] as const)
      expect(await deployment.quiescence.queue(name).count()).toBe(0);
    expect(deployment.takeSent('over')).toEqual(
      expect.not.arrayContaining([expect.stringContaining('stop')]),
    );
  });
});
