import { afterEach, expect, test } from 'vitest';
import { readDroplets } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

/** Starts a cloud without a nudger, so that starts wait until the test starts one. */
async function startWithoutNudger(settings: {
  startsPerPeriod: number;
  startsPeriodMs: number;
}): Promise<void> {
  deployment = await startCloud({
    processes: ['ingest', 'analyzer', 'sync'],
    settings,
    policy: { delayTimeNoiseMs: 0 },
  });
}

const takeOrder = () =>
  deployment.takeSentMessages().map(({ droplet, index, reason }) => `${droplet}/${index} ${reason}`);
const messagesSent = (count: number) =>
  expect.poll(() => deployment.sent.length, { interval: 5 }).toBe(count);

test('starts leave by priority, and within a priority the droplet with the largest missing share first', async () => {
  await startWithoutNudger({ startsPerPeriod: 1, startsPeriodMs: 250 });
  const [crashed] = await healthyApp(deployment, 'crashed', 4);
  const [, evacuated] = await healthyApp(deployment, 'evacuated', 4);
  const [quarter] = await healthyApp(deployment, 'quarter', 4);
  const [half] = await healthyApp(deployment, 'half', 2);
  await deployment.desire('entire', {});
  await endInstance(deployment, crashed, 'CRASHED');
  await deployment.advance(31);
  for (const guid of [quarter, half]) for (const dea of deployment.deas.values()) dea.forget(guid as string);
  await deployment.advance(41);
  await endInstance(deployment, evacuated, 'DEA_EVACUATION');
  expect(deployment.sent).toEqual([]);

  await deployment.processes.start('nudger');
  await messagesSent(5);
  expect(takeOrder()).toEqual([
    'evacuated/1 evacuated',
    'entire/0 missing',
    'half/0 missing',
    'quarter/0 missing',
    'crashed/0 crashed',
  ]);
});

test('slots for which no DEA has room never delay a first-time start, and are shown as unplaced', async () => {
  await startWithoutNudger({ startsPerPeriod: 1, startsPeriodMs: 100 });
  const unplaceable = ['a', 'b', 'c', 'd'];
  const [crashed] = await healthyApp(deployment, 'crashed', 2);
  for (const app of unplaceable) await deployment.desire(app, { instances: 2 });
  // The simulated DEAs take no start up: no DEA has room.
  await deployment.processes.start('nudger');
  for (const seconds of [32, 31, 61]) {
    await deployment.advance(seconds);
    await messagesSent(8);
    deployment.takeSentMessages();
  }
  await deployment.advance(31);
  const unplaced = (await deployment.decisions('a')).filter(({ kind }) => kind === 'unplaced');
  expect(unplaced.map(({ index, attempts }) => `${index} after ${attempts}`).sort()).toEqual([
    '0 after 3',
    '1 after 3',
  ]);
  await deployment.processes.stop('nudger');

  await deployment.advance(120);
  expect(await deployment.quiescence.queue('starts').getPrioritizedCount()).toBe(8);
  await deployment.desire('new', {});
  await deployment.advance(31);
  await endInstance(deployment, crashed, 'CRASHED');
  await deployment.processes.start('nudger');
  await messagesSent(10);
  expect(takeOrder().slice(0, 2)).toEqual(['new/0 missing', 'crashed/0 crashed']);

  // Room again: the next try of one of them helps, and its attempts are forgotten.
  deployment.dea('dea-1').run('a', 0);
  await deployment.advance(11);
  const [a] = await readDroplets(deployment.observer, ['a']);
  if (a === undefined || a instanceof Error) throw new Error('no record');
  expect(a.slots.get(0)).toBeUndefined();
  expect(a.slots.get(1)).toMatchObject({ attempts: 3 });
});

test('an evacuation raises the priority of a waiting start, and nothing else changes it', async () => {
  await startWithoutNudger({ startsPerPeriod: 1, startsPeriodMs: 250 });
  await deployment.desire('first', {});
  await deployment.desire('second', { instances: 4 });
  for (const index of [0, 1, 2]) deployment.dea('dea-1').run('second', index);
  await deployment.advance(32);
  const id = (await deployment.decisions('second')).find(({ kind }) => kind === 'start')?.id;
  deployment
    .dea('dea-2')
    .sendExited({ droplet: 'second', version: 'second-v1', guid: 'gone', index: 3 }, 'CRASHED');
  await deployment.settle();
  deployment
    .dea('dea-2')
    .sendExited({ droplet: 'second', version: 'second-v1', guid: 'left', index: 3 }, 'DEA_SHUTDOWN');
  await deployment.settle();
  expect(await deployment.decisions('second')).toContainEqual(expect.objectContaining({ kind: 'raise', id }));

  await deployment.processes.start('nudger');
  await messagesSent(2);
  expect(deployment.sent[0]?.id).toBe(id);
  expect(takeOrder()).toEqual(['second/3 evacuated', 'first/0 missing']);
});

test('waiting starts are rechecked when they leave; those of live or unwanted slots are dropped and logged', async () => {
  await startWithoutNudger({ startsPerPeriod: 100, startsPeriodMs: 1000 });
  for (const app of ['came', 'unwanted', 'changed', 'right']) await deployment.desire(app, {});
  await deployment.advance(32);
  expect(await deployment.quiescence.queue('starts').getPrioritizedCount()).toBe(4);
  // Without an analyzer, only the nudger's recheck can see the changes from here on.
  await deployment.processes.stop('analyzer');
  deployment.dea('dea-1').run('came', 0);
  await deployment.heartbeat();
  await deployment.desire('unwanted', { state: 'STOPPED' });
  await deployment.desire('changed', { version: 'v2' });
  await deployment.processes.start('nudger');
  await messagesSent(1);
  await deployment.settle();
  expect(takeOrder()).toEqual(['right/0 missing']);
  const dropped = async (app: string) =>
    (await deployment.decisions(app)).filter(({ kind }) => kind === 'dropped');
  expect(await dropped('came')).toMatchObject([{ why: 'live', index: 0 }]);
  expect(await dropped('unwanted')).toMatchObject([{ why: 'not_wanted' }]);
  expect(await dropped('changed')).toMatchObject([{ why: 'not_wanted' }]);
});

test('the rate limit holds over all nudgers together, and stops and restarts do not wait for it', async () => {
  await startWithoutNudger({ startsPerPeriod: 3, startsPeriodMs: 700 });
  const [, surplus] = await healthyApp(deployment, 'surplus', 2);
  const [first] = await healthyApp(deployment, 'crashing', 1);
  await deployment.desire('flappy', {});
  await deployment.processes.start('nudger');
  for (const guid of ['a', 'b']) {
    deployment.clock.advance(1);
    deployment
      .dea('dea-1')
      .sendExited({ droplet: 'flappy', version: 'flappy-v1', guid, index: 0 }, 'CRASHED');
    await deployment.settle();
  }
  expect(takeOrder()).toEqual(['flappy/0 crashed']);
  await deployment.processes.stop('nudger');
  await endInstance(deployment, first, 'CRASHED');
  await deployment.desire('many', { instances: 8 });
  await deployment.advance(61);
  await deployment.desire('surplus', { instances: 1 });
  await deployment.processes.start('nudger', 'nudger');
  await deployment.quiescence.promoteDueJobs();
  await messagesSent(8 + 1 + 1 + 1); // missing, crashed, flapping and the stop
  const [starts, others] = [true, false].map((limited) =>
    deployment.sent.filter(({ reason }) => ['missing', 'crashed'].includes(reason) === limited),
  );
  expect(others?.map(({ reason }) => reason).sort()).toEqual(['extra_index', 'flapping']);
  expect(others?.find(({ kind }) => kind === 'stop')?.instance).toBe(surplus);
  const times = starts?.map(({ realMs }) => realMs) ?? [];
  // Neither the restart nor the stop waited for the second period.
  for (const { realMs } of others ?? []) expect(realMs).toBeLessThan(times[3] as number);
  // Nine starts at three a period: the last ones leave two periods after the first ones, give or take the delivery.
  expect((times[8] as number) - (times[0] as number)).toBeGreaterThan(900);
});

test('flapping restarts that are due together are not rate-limited', async () => {
  const periodMs = 2_000;
  await startWithoutNudger({ startsPerPeriod: 2, startsPeriodMs: periodMs });
  await deployment.processes.start('nudger');
  const crash = async (name: string) => {
    for (const index of [0, 1]) {
      deployment.clock.advance(1);
      const droplet = {
        droplet: name,
        version: `${name}-v1`,
        guid: `${name}-${deployment.clock.nowMs()}`,
        index,
      };
      deployment.dea('dea-1').sendExited(droplet, 'CRASHED');
      await deployment.settle();
    }
  };
  for (const name of ['one', 'other']) {
    await deployment.desire(name, { instances: 2 });
    await crash(name);
    await expect.poll(() => deployment.sent.filter(({ droplet }) => droplet === name).length).toBe(2);
    await crash(name);
  }
  await deployment.advance(61);
  await deployment.quiescence.promoteDueJobs();
  const restarts = () => deployment.sent.filter(({ reason }) => reason === 'flapping');
  await expect.poll(() => restarts().length).toBe(4);
  const times = restarts().map(({ realMs }) => realMs);
  expect(Math.max(...times) - Math.min(...times)).toBeLessThan(periodMs);
});

test('completed jobs keep a readable name and their outcome', async () => {
  deployment = await startCloud();
  const [crashed] = await healthyApp(deployment, 'web', 2);
  await endInstance(deployment, crashed, 'CRASHED');
  await expect.poll(() => deployment.sent.length).toBe(1);
  const { id, decision } = deployment.takeSentMessages()[0] ?? {};
  const { client, keys } = deployment.observer;
  const starts = `${keys.queuePrefix}:starts`;
  await expect.poll(() => client.zrangebyscore(`${starts}:completed`, '-inf', '+inf')).toEqual([id]);
  expect(await client.hmget(`${starts}:${decision}`, 'name', 'returnvalue')).toEqual([
    'crashed: start web/0',
    '"sent"',
  ]);
});
