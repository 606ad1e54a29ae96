import { afterEach, describe, expect, test } from 'vitest';
import { World, type WorldOptions } from './world.ts';

describe('starts', () => {
  let world: World;
  afterEach(() => world.stop());

  /** A cloud that has been listened to for long enough, with an app of so many instances, all running. */
  async function healthy(instances: number, options: WorldOptions = {}): Promise<string[]> {
    world = await World.start(options);
    const deas = [world.dea('dea-1'), world.dea('dea-2'), world.dea('dea-3')];
    await world.desire('web', { instances });
    const guids = Array.from({ length: instances }, (_, index) => deas[index % 3]!.run('web', index));
    await world.advance(40);
    expect(world.takeAsked()).toEqual([]);
    return guids;
  }

  test('an instance that crashes is started at once', async () => {
    const [first] = await healthy(3);
    world.dea('dea-1').end(first!, 'CRASHED');
    await world.settle();
    expect(world.takeAsked()).toEqual(['start web/0 (crashed)']);
  });

  test('a DEA that falls silent is missed after droplet_lost, and its instances only', async () => {
    await healthy(3);
    world.dea('dea-2').alive = false;
    await world.advance(25);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(10);
    expect(world.takeAsked()).toEqual(['start web/1 (missing)']);
  });
});
