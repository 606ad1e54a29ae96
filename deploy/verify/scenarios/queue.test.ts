import { afterEach, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
afterEach(() => world.stop());

/** Starts leave one by one, so that their order is seen; none leaves before a nudger is there. */
async function withoutNudger(settings: { startsPerPeriod: number; startsPeriodMs: number }): Promise<void> {
  world = await cloud({
    processes: ['ingest', 'analyzer', 'sync'],
    settings,
    policy: { delayTimeNoiseMs: 0 },
  });
}

const order = () => world.takeSent().map(({ droplet, index, reason }) => `${droplet}/${index} ${reason}`);
const left = (count: number) =>
  expect.poll(() => world.sent.length, { interval: 5, timeout: 10_000 }).toBe(count);

test('higher priority leaves first, and within a priority the droplet that is worst off', async () => {
  await withoutNudger({ startsPerPeriod: 1, startsPeriodMs: 250 });
  const [crashed] = await healthyApp(world, 'crashed', 4);
  const [, evacuated] = await healthyApp(world, 'evacuated', 4);
  const [quarter] = await healthyApp(world, 'quarter', 4);
  const [half] = await healthyApp(world, 'half', 2);
  await world.desire('whole', {});
  await end(world, crashed, 'CRASHED');
  await world.advance(31);
  for (const guid of [quarter, half]) for (const dea of world.deas.values()) dea.forget(guid as string);
  await world.advance(41);
  await end(world, evacuated, 'DEA_EVACUATION');
  expect(world.sent).toEqual([]);

  await world.run('nudger');
  await left(5);
  expect(order()).toEqual([
    'evacuated/1 evacuated',
    'whole/0 missing',
    'half/0 missing',
    'quarter/0 missing',
    'crashed/0 crashed',
  ]);
});

test('an evacuation raises the priority of a waiting start, and nothing else changes it', async () => {
  await withoutNudger({ startsPerPeriod: 1, startsPeriodMs: 250 });
  await world.desire('first', {});
  await world.desire('second', { instances: 4 });
  for (const index of [0, 1, 2]) world.dea('dea-1').run('second', index);
  await world.advance(32);
  const id = (await world.decisions('second')).find(({ kind }) => kind === 'start')?.id;
  world
    .dea('dea-2')
    .sayExited({ droplet: 'second', version: 'second-v1', guid: 'gone', index: 3 }, 'CRASHED');
  await world.settle();
  world
    .dea('dea-2')
    .sayExited({ droplet: 'second', version: 'second-v1', guid: 'left', index: 3 }, 'DEA_SHUTDOWN');
  await world.settle();
  expect(await world.decisions('second')).toContainEqual(expect.objectContaining({ kind: 'raise', id }));

  await world.run('nudger');
  await left(2);
  expect(world.sent[0]?.id).toBe(id);
  expect(order()).toEqual(['second/3 evacuated', 'first/0 missing']);
});

test('starts that wait are checked when they leave: live or unwanted ones are dropped, and that is logged', async () => {
  await withoutNudger({ startsPerPeriod: 100, startsPeriodMs: 1000 });
  for (const app of ['came', 'unwanted', 'changed', 'right']) await world.desire(app, {});
  await world.advance(32);
  expect(await world.rest.queue('starts').getPrioritizedCount()).toBe(4);
  // No analyzer sees what happens now: the nudger is alone with its own look.
  await world.end('analyzer');
  world.dea('dea-1').run('came', 0);
  await world.beat();
  await world.desire('unwanted', { state: 'STOPPED' });
  await world.desire('changed', { version: 'v2' });
  await world.run('nudger');
  await left(1);
  await world.settle();
  expect(order()).toEqual(['right/0 missing']);
  const dropped = async (app: string) =>
    (await world.decisions(app)).filter(({ kind }) => kind === 'dropped');
  expect(await dropped('came')).toMatchObject([{ why: 'live', index: 0 }]);
  expect(await dropped('unwanted')).toMatchObject([{ why: 'not_wanted' }]);
  expect(await dropped('changed')).toMatchObject([{ why: 'not_wanted' }]);
});

test('at most so many starts in a period over all nudgers together; stops and restarts pass them by', async () => {
  await withoutNudger({ startsPerPeriod: 3, startsPeriodMs: 700 });
  const [, surplus] = await healthyApp(world, 'surplus', 2);
  const [first] = await healthyApp(world, 'crashing', 1);
  await world.desire('flappy', {});
  await world.run('nudger');
  for (const guid of ['a', 'b']) {
    world.clock.advance(1);
    world.dea('dea-1').sayExited({ droplet: 'flappy', version: 'flappy-v1', guid, index: 0 }, 'CRASHED');
    await world.settle();
  }
  expect(order()).toEqual(['flappy/0 crashed']);
  await world.end('nudger');
  await end(world, first, 'CRASHED');
  await world.desire('many', { instances: 8 });
  await world.advance(61);
  await world.desire('surplus', { instances: 1 });
  await world.run('nudger', 'nudger');
  await world.rest.passTimers();
  await left(8 + 1 + 1 + 1); // missing, crashed, flapping, and the stop
  const [starts, others] = [true, false].map((limited) =>
    world.sent.filter(({ reason }) => ['missing', 'crashed'].includes(reason) === limited),
  );
  expect(others?.map(({ reason }) => reason).sort()).toEqual(['extra_index', 'flapping']);
  expect(others?.find(({ kind }) => kind === 'stop')?.instance).toBe(surplus);
  const times = starts?.map(({ realMs }) => realMs) ?? [];
  // None of the others waited for the second period.
  for (const { realMs } of others ?? []) expect(realMs).toBeLessThan(times[3] as number);
  // Nine of three a period: the last leave two periods after the first, seen a little earlier or later.
  expect((times[8] as number) - (times[0] as number)).toBeGreaterThan(900);
});

test('flapping restarts that are due together are not limited', async () => {
  const periodMs = 2_000;
  await withoutNudger({ startsPerPeriod: 2, startsPeriodMs: periodMs });
  await world.run('nudger');
  const crash = async (name: string) => {
    for (const index of [0, 1]) {
      world.clock.advance(1);
      const droplet = { droplet: name, version: `${name}-v1`, guid: `${name}-${world.clock.nowMs()}`, index };
      world.dea('dea-1').sayExited(droplet, 'CRASHED');
      await world.settle();
    }
  };
  for (const name of ['one', 'other']) {
    await world.desire(name, { instances: 2 });
    await crash(name);
    await expect
      .poll(() => world.sent.filter(({ droplet }) => droplet === name).length, { timeout: 10_000 })
      .toBe(2);
    await crash(name);
  }
  await world.advance(61);
  await world.rest.passTimers();
  const restarts = () => world.sent.filter(({ reason }) => reason === 'flapping');
  await expect.poll(() => restarts().length, { timeout: 10_000 }).toBe(4);
  const times = restarts().map(({ realMs }) => realMs);
  expect(Math.max(...times) - Math.min(...times)).toBeLessThan(periodMs);
});

test('jobs that are done can still be looked at: what for, and what became of them', async () => {
  world = await cloud();
  const [crashed] = await healthyApp(world, 'web', 2);
  await end(world, crashed, 'CRASHED');
  await expect.poll(() => world.sent.length, { timeout: 10_000 }).toBe(1);
  const { id, decision } = world.takeSent()[0] ?? {};
  const { client, keys } = world.store;
  const starts = `${keys.queuePrefix}:starts`;
  await expect.poll(() => client.zrangebyscore(`${starts}:completed`, '-inf', '+inf')).toEqual([id]);
  expect(await client.hmget(`${starts}:${decision}`, 'name', 'returnvalue')).toEqual([
    'crashed: start web/0',
    '"sent"',
  ]);
});
