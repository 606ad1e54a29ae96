import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

/** What the controller changes, with a cloud that does what it is asked. */

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud({ executesRequests: true });
});
afterAll(() => deployment.stop());

/** What runs of an app: index and version of each instance, sorted. */
function runs(droplet: string): string[] {
  const instances = [...deployment.deas.values()].flatMap((dea) =>
    dea.guidsOf(droplet).map((guid) => dea.instances.get(guid)),
  );
  return instances.map((instance) => `${instance?.index} ${instance?.version}`).sort();
}

describe('an app', () => {
  test('that is scaled up gets what is missing, and scaled down loses the highest indices', async () => {
    await healthyApp(deployment, 'scaled', 2);
    await deployment.desire('scaled', { instances: 4 });
    await deployment.advance(41);
    expect(runs('scaled')).toEqual(['0 scaled-v1', '1 scaled-v1', '2 scaled-v1', '3 scaled-v1']);
    await deployment.desire('scaled', { instances: 1 });
    await deployment.advance(11);
    expect(runs('scaled')).toEqual(['0 scaled-v1']);
  });

  test('that is stopped ends, and started again comes up', async () => {
    await healthyApp(deployment, 'paused', 2);
    await deployment.desire('paused', { state: 'STOPPED' });
    await deployment.settle();
    expect(runs('paused')).toEqual([]);
    await deployment.advance(41);
    expect(runs('paused')).toEqual([]);
    await deployment.desire('paused', { state: 'STARTED' });
    await deployment.advance(41);
    expect(runs('paused')).toEqual(['0 paused-v1', '1 paused-v1']);
  });

  test('that is pushed changes its version: the new one comes up before the old one goes', async () => {
    await healthyApp(deployment, 'pushed', 2);
    deployment.takeSentMessages('pushed');
    await deployment.desire('pushed', { version: 'v2' });
    await deployment.advance(45);
    expect(runs('pushed')).toEqual(['0 v2', '1 v2']);
    expect(deployment.takeSentMessages('pushed').map(({ kind }) => kind)).toEqual([
      'start',
      'start',
      'stop',
      'stop',
    ]);
  });

  test('that is changed without a word is noticed by the next bulk sync', async () => {
    await healthyApp(deployment, 'quiet', 1);
    await deployment.desire('quiet', { instances: 2 }, { announce: false });
    await deployment.advance(75);
    expect(runs('quiet')).toEqual(['0 quiet-v1', '1 quiet-v1']);
  });

  test('that moves to another host, with all its kind, is started there before it ends here', async () => {
    await healthyApp(deployment, 'moving', 3);
    const [leaving] = deployment.dea('dea-2').guidsOf('moving');
    deployment.takeSentMessages('moving');
    await endInstance(deployment, leaving, 'DEA_EVACUATION');
    await deployment.advance(12);
    expect(deployment.takeSentMessages('moving').map(({ reason }) => reason)).toEqual([
      'evacuated',
      'evacuation_complete',
    ]);
    expect(runs('moving')).toHaveLength(3);
  });
});
