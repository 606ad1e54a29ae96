import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

/** Changes by the controller, in a cloud that carries out every request. */

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud({ executesRequests: true });
});
afterAll(() => deployment.stop());

/** The index and version of each running instance of an app, sorted. */
function running(droplet: string): string[] {
  const instances = [...deployment.deas.values()].flatMap((dea) =>
    dea.guidsOf(droplet).map((guid) => dea.instances.get(guid)),
  );
  return instances.map((instance) => `${instance?.index} ${instance?.version}`).sort();
}

describe('an app', () => {
  test('that is scaled up gets its missing instances, and loses the highest indices when it is scaled down', async () => {
    await healthyApp(deployment, 'scaled', 2);
    await deployment.desire('scaled', { instances: 4 });
    await deployment.advance(41);
    expect(running('scaled')).toEqual(['0 scaled-v1', '1 scaled-v1', '2 scaled-v1', '3 scaled-v1']);
    await deployment.desire('scaled', { instances: 1 });
    await deployment.advance(11);
    expect(running('scaled')).toEqual(['0 scaled-v1']);
  });

  test('that is stopped ends, and runs again after it is started', async () => {
    await healthyApp(deployment, 'paused', 2);
    await deployment.desire('paused', { state: 'STOPPED' });
    await deployment.settle();
    expect(running('paused')).toEqual([]);
    await deployment.advance(41);
    expect(running('paused')).toEqual([]);
    await deployment.desire('paused', { state: 'STARTED' });
    await deployment.advance(41);
    expect(running('paused')).toEqual(['0 paused-v1', '1 paused-v1']);
  });

  test('that is pushed runs its new version before its old one is stopped', async () => {
    await healthyApp(deployment, 'pushed', 2);
    deployment.takeSentMessages('pushed');
    await deployment.desire('pushed', { version: 'v2' });
    await deployment.advance(45);
    expect(running('pushed')).toEqual(['0 v2', '1 v2']);
    expect(deployment.takeSentMessages('pushed').map(({ kind }) => kind)).toEqual([
      'start',
      'start',
      'stop',
      'stop',
    ]);
  });

  test('that is changed without droplet.updated follows the next bulk sync', async () => {
    await healthyApp(deployment, 'unannounced', 1);
    await deployment.desire('unannounced', { instances: 2 }, { announce: false });
    await deployment.advance(75);
    expect(running('unannounced')).toEqual(['0 unannounced-v1', '1 unannounced-v1']);
  });

  test('that is evacuated is started on another DEA before it is stopped on the first', async () => {
    await healthyApp(deployment, 'moving', 3);
    const [leaving] = deployment.dea('dea-2').guidsOf('moving');
    deployment.takeSentMessages('moving');
    await endInstance(deployment, leaving, 'DEA_EVACUATION');
    await deployment.advance(12);
    expect(deployment.takeSentMessages('moving').map(({ reason }) => reason)).toEqual([
      'evacuated',
      'evacuation_complete',
    ]);
    expect(running('moving')).toHaveLength(3);
  });
});
