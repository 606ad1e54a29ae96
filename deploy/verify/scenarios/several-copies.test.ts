import { expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import { ALL_PROCESSES } from './processes.ts';

/** A bit of everything; what was asked is told step by step. */
async function story(deployment: Deployment): Promise<string[][]> {
  const told: string[][] = [];
  const tell = () => told.push(deployment.takeSent());
  const apps = ['one', 'two', 'three'];
  const guids = new Map<string, string[]>();
  for (const app of apps) guids.set(app, await healthyApp(deployment, app, 3));
  tell();
  for (const app of apps) await endInstance(deployment, guids.get(app)?.[0], 'CRASHED');
  tell();
  await endInstance(deployment, guids.get('one')?.[1], 'DEA_EVACUATION');
  await endInstance(deployment, guids.get('two')?.[1], 'DEA_SHUTDOWN');
  tell();
  deployment.dea('dea-3').run('three', 0);
  await deployment.heartbeat();
  await endInstance(deployment, deployment.dea('dea-3').guidsOf('three')[1], 'CRASHED'); // its second crash
  deployment.dea('dea-2').connected = false;
  await deployment.advance(41);
  tell();
  deployment.dea('dea-2').connected = true;
  await deployment.desire('two', { state: 'STOPPED' });
  tell();
  for (const app of ['one', 'three']) deployment.dea('dea-1').run(app, 1);
  await deployment.advance(31);
  tell();
  await deployment.desire('three', { instances: 1 });
  await deployment.advance(5);
  tell();
  return told;
}

test('two copies of everything ask for the same as one, and nothing twice', async () => {
  const told: string[][][] = [];
  for (const processes of [ALL_PROCESSES, [...ALL_PROCESSES, ...ALL_PROCESSES]]) {
    const deployment = await startCloud({ processes, policy: { delayTimeNoiseMs: 0 } });
    told.push(await story(deployment));
    await deployment.stop();
  }
  expect(told[1]).toEqual(told[0]);
  expect(told[0]?.flat().length).toBeGreaterThan(8);
});

test('one copy of each ends in the middle of the work, and the others go on with it', async () => {
  const deployment = await startCloud({
    processes: [...ALL_PROCESSES, ...ALL_PROCESSES],
    executesRequests: true,
  });
  for (let n = 0; n < 8; n++) await deployment.desire(`app-${n}`, { instances: 2 }, { announce: false });
  await deployment.announceUpdate('app-0');
  const first = ALL_PROCESSES.map((name) =>
    deployment.processes.running.find((process) => process.name === name),
  );
  const ends = deployment.advance(41);
  for (const process of first) if (process !== undefined) await deployment.processes.stop(process);
  await ends;
  await deployment.advance(41);
  const running = [...deployment.deas.values()].reduce((sum, dea) => sum + dea.listed.size, 0);
  expect(running).toBe(16);
  const asked = deployment.takeSent();
  expect(new Set(asked).size).toBe(asked.length);
  await deployment.stop();
});
