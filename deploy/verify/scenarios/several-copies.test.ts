import { expect, onTestFinished, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import { ALL_PROCESSES } from './processes.ts';

/**
 * Crashes, evacuations, a lost DEA and changes of apps.
 *
 * @returns the requests after each step
 */
async function runHistory(deployment: Deployment): Promise<string[][]> {
  const steps: string[][] = [];
  const endStep = () => steps.push(deployment.takeSent());
  const apps = ['one', 'two', 'three'];
  const guids = new Map<string, string[]>();
  for (const app of apps) guids.set(app, await healthyApp(deployment, app, 3));
  endStep();
  for (const app of apps) await endInstance(deployment, guids.get(app)?.[0], 'CRASHED');
  endStep();
  await endInstance(deployment, guids.get('one')?.[1], 'DEA_EVACUATION');
  await endInstance(deployment, guids.get('two')?.[1], 'DEA_SHUTDOWN');
  endStep();
  deployment.dea('dea-3').run('three', 0);
  await deployment.heartbeat();
  await endInstance(deployment, deployment.dea('dea-3').guidsOf('three')[1], 'CRASHED'); // its second crash
  deployment.dea('dea-2').connected = false;
  await deployment.advance(41);
  endStep();
  deployment.dea('dea-2').connected = true;
  await deployment.desire('two', { state: 'STOPPED' });
  endStep();
  for (const app of ['one', 'three']) deployment.dea('dea-1').run(app, 1);
  await deployment.advance(31);
  endStep();
  await deployment.desire('three', { instances: 1 });
  await deployment.advance(5);
  endStep();
  return steps;
}

test('two copies of every process send the same requests as one copy, and none twice', async () => {
  const histories: string[][][] = [];
  for (const processes of [ALL_PROCESSES, [...ALL_PROCESSES, ...ALL_PROCESSES]]) {
    const deployment = await startCloud({ processes, policy: { delayTimeNoiseMs: 0 } });
    // Not when the test is finished: on a cluster both deployments would use the same one.
    try {
      histories.push(await runHistory(deployment));
    } finally {
      await deployment.stop();
    }
  }
  expect(histories[1]).toEqual(histories[0]);
  expect(histories[0]?.flat().length).toBeGreaterThan(8);
});

test('when one copy of each process stops in the middle of its work, the others finish it', async () => {
  const deployment = await startCloud({
    processes: [...ALL_PROCESSES, ...ALL_PROCESSES],
    executesRequests: true,
  });
  onTestFinished(() => deployment.stop());
  for (let n = 0; n < 8; n++) await deployment.desire(`app-${n}`, { instances: 2 }, { announce: false });
  await deployment.announceUpdate('app-0');
  const first = ALL_PROCESSES.map((name) =>
    deployment.processes.running.find((process) => process.name === name),
  );
  const advanced = deployment.advance(41);
  for (const process of first) if (process !== undefined) await deployment.processes.stop(process);
  await advanced;
  await deployment.advance(41);
  const running = [...deployment.deas.values()].reduce((sum, dea) => sum + dea.listed.size, 0);
  expect(running).toBe(16);
  const sent = deployment.takeSent();
  expect(new Set(sent).size).toBe(sent.length);
});
