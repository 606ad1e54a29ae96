import { expect, test } from 'vitest';
import { ALL_PROCESSES, type Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

/** A bit of everything; what was asked is told step by step. */
async function story(world: Deployment): Promise<string[][]> {
  const told: string[][] = [];
  const tell = () => told.push(world.takeAsked());
  const apps = ['one', 'two', 'three'];
  const guids = new Map<string, string[]>();
  for (const app of apps) guids.set(app, await healthyApp(world, app, 3));
  tell();
  for (const app of apps) await end(world, guids.get(app)?.[0], 'CRASHED');
  tell();
  await end(world, guids.get('one')?.[1], 'DEA_EVACUATION');
  await end(world, guids.get('two')?.[1], 'DEA_SHUTDOWN');
  tell();
  world.dea('dea-3').run('three', 0);
  await world.beat();
  await end(world, world.dea('dea-3').of('three')[1], 'CRASHED'); // its second crash
  world.dea('dea-2').alive = false;
  await world.advance(41);
  tell();
  world.dea('dea-2').alive = true;
  await world.desire('two', { state: 'STOPPED' });
  tell();
  for (const app of ['one', 'three']) world.dea('dea-1').run(app, 1);
  await world.advance(31);
  tell();
  await world.desire('three', { instances: 1 });
  await world.advance(5);
  tell();
  return told;
}

test('two copies of everything ask for the same as one, and nothing twice', async () => {
  const told: string[][][] = [];
  for (const processes of [ALL_PROCESSES, [...ALL_PROCESSES, ...ALL_PROCESSES]]) {
    const world = await cloud({ processes, policy: { delayTimeNoiseMs: 0 } });
    told.push(await story(world));
    await world.stop();
  }
  expect(told[1]).toEqual(told[0]);
  expect(told[0]?.flat().length).toBeGreaterThan(8);
});

test('one copy of each ends in the middle of the work, and the others go on with it', async () => {
  const world = await cloud({ processes: [...ALL_PROCESSES, ...ALL_PROCESSES], obedient: true });
  for (let n = 0; n < 8; n++) await world.desire(`app-${n}`, { instances: 2 }, { quietly: true });
  await world.updated('app-0');
  const first = ALL_PROCESSES.map((name) => world.running.find((process) => process.name === name));
  const ends = world.advance(41);
  for (const process of first) if (process !== undefined) await world.end(process);
  await ends;
  await world.advance(41);
  const running = [...world.deas.values()].reduce((sum, dea) => sum + dea.size, 0);
  expect(running).toBe(16);
  const asked = world.takeAsked();
  expect(new Set(asked).size).toBe(asked.length);
  await world.stop();
});
