import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

/** What the controller changes, with a cloud that does what it is asked. */

let world: Deployment;
beforeAll(async () => {
  world = await cloud({ obedient: true });
});
afterAll(() => world.stop());

/** What runs of an app: index and version of each instance, sorted. */
function runs(droplet: string): string[] {
  const instances = [...world.deas.values()].flatMap((dea) =>
    dea.of(droplet).map((guid) => dea.instances.get(guid)),
  );
  return instances.map((instance) => `${instance?.index} ${instance?.version}`).sort();
}

describe('an app', () => {
  test('that is scaled up gets what is missing, and scaled down loses the highest indices', async () => {
    await healthyApp(world, 'scaled', 2);
    await world.desire('scaled', { instances: 4 });
    await world.advance(41);
    expect(runs('scaled')).toEqual(['0 scaled-v1', '1 scaled-v1', '2 scaled-v1', '3 scaled-v1']);
    await world.desire('scaled', { instances: 1 });
    await world.advance(11);
    expect(runs('scaled')).toEqual(['0 scaled-v1']);
  });

  test('that is stopped ends, and started again comes up', async () => {
    await healthyApp(world, 'paused', 2);
    await world.desire('paused', { state: 'STOPPED' });
    await world.settle();
    expect(runs('paused')).toEqual([]);
    await world.advance(41);
    expect(runs('paused')).toEqual([]);
    await world.desire('paused', { state: 'STARTED' });
    await world.advance(41);
    expect(runs('paused')).toEqual(['0 paused-v1', '1 paused-v1']);
  });

  test('that is pushed changes its version: the new one comes up before the old one goes', async () => {
    await healthyApp(world, 'pushed', 2);
    world.takeSent('pushed');
    await world.desire('pushed', { version: 'v2' });
    await world.advance(45);
    expect(runs('pushed')).toEqual(['0 v2', '1 v2']);
    expect(world.takeSent('pushed').map(({ kind }) => kind)).toEqual(['start', 'start', 'stop', 'stop']);
  });

  test('that is changed without a word is noticed by the next bulk sync', async () => {
    await healthyApp(world, 'quiet', 1);
    await world.desire('quiet', { instances: 2 }, { quietly: true });
    await world.advance(75);
    expect(runs('quiet')).toEqual(['0 quiet-v1', '1 quiet-v1']);
  });

  test('that moves to another host, with all its kind, is started there before it ends here', async () => {
    await healthyApp(world, 'moving', 3);
    const [leaving] = world.dea('dea-2').of('moving');
    world.takeSent('moving');
    await end(world, leaving, 'DEA_EVACUATION');
    await world.advance(12);
    expect(world.takeSent('moving').map(({ reason }) => reason)).toEqual([
      'evacuated',
      'evacuation_complete',
    ]);
    expect(runs('moving')).toHaveLength(3);
  });
});
