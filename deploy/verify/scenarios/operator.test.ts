/** What an operator pauses, resumes and retries, with two copies of every process. */
import { afterEach, expect, test } from 'vitest';
import { type HoldRequest, pause, resume, retry } from '../../../common/redis/fleet/holds/operator-acts.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import { ALL_PROCESSES } from './processes.ts';

const TWO_COPIES = [...ALL_PROCESSES, ...ALL_PROCESSES];

let deployment: Deployment;
afterEach(() => deployment.stop());

const who = () => ({ by: 'alice', nowMs: deployment.clock.nowMs() });
const hold = async (request: Partial<HoldRequest> = {}) => {
  const placed = await pause(
    deployment.observer,
    { covers: 'all', why: 'maintenance', durationMs: 3_600_000, ...request },
    who(),
  );
  if (placed === 'full') throw new Error('expected a hold, found no room for one');
  return placed.id;
};

test('while everything is paused nothing leaves, for whatever reason; then all of it does, once', async () => {
  deployment = await startCloud({ processes: TWO_COPIES });
  const guids = await healthyApp(deployment, 'web', 4);
  await healthyApp(deployment, 'api', 2);
  deployment.takeSent();
  const id = await hold();
  await endInstance(deployment, guids[0], 'CRASHED');
  await endInstance(deployment, guids[1], 'DEA_EVACUATION');
  deployment.dea('dea-3').forget(guids[2] as string);
  const surplus = deployment.dea('dea-1').run('api', 5);
  await deployment.advance(75);
  expect(deployment.takeSent()).toEqual([]);
  const log = await deployment.decisions('web');
  expect(log.filter(({ kind, hold: on }) => kind === 'held' && on === 'operator')).toContainEqual(
    expect.objectContaining({ reason: 'crashed', by: 'alice', note: 'maintenance', holdId: id }),
  );
  await resume(deployment.observer, id, who());
  await deployment.advance(3);
  const sent = deployment.takeSent();
  expect(sent).toEqual(
    expect.arrayContaining([
      'start web/0 (crashed)',
      'start web/1 (evacuated)',
      'start web/2 (missing)',
      `stop ${surplus} of api (extra_index)`,
    ]),
  );
  expect(new Set(sent).size).toBe(sent.length);
});

test('a pause survives restarts of every process, and ends by the clock of the deployment', async () => {
  deployment = await startCloud({ processes: TWO_COPIES });
  const guids = await healthyApp(deployment, 'web', 2);
  deployment.takeSent();
  await hold({ covers: 'starts', durationMs: 120_000 });
  await endInstance(deployment, guids[0], 'CRASHED');
  for (const one of [...deployment.processes.running]) await deployment.processes.stop(one);
  await deployment.processes.start(...TWO_COPIES);
  await deployment.advance(60);
  expect(deployment.takeSent()).toEqual([]);
  await deployment.advance(62);
  expect(deployment.takeSent()).toEqual(['start web/0 (crashed)']);
});

test('a start that waits when its app is paused is not sent; other apps go on', async () => {
  deployment = await startCloud({ processes: TWO_COPIES });
  const web = await healthyApp(deployment, 'web', 1);
  const api = await healthyApp(deployment, 'api', 1);
  deployment.takeSent();
  await deployment.quiescence.pause('starts');
  await endInstance(deployment, api[0], 'CRASHED');
  await endInstance(deployment, web[0], 'CRASHED');
  expect((await deployment.decisions('web')).map(({ kind }) => kind)).toContain('start');
  const id = await hold({ covers: 'starts', droplet: 'web' });
  await deployment.quiescence.resume('starts');
  await deployment.advance(5);
  expect(deployment.takeSent()).toEqual(['start api/0 (crashed)']);
  expect(await deployment.decisions('web')).toContainEqual(
    expect.objectContaining({ kind: 'dropped', why: 'held:operator' }),
  );
  await resume(deployment.observer, id, who());
  await deployment.advance(3);
  expect(deployment.takeSent('web')).toEqual(['start web/0 (crashed)']);
});

test('the instances of a paused DEA are not started elsewhere while it is rebooted', async () => {
  deployment = await startCloud({ processes: TWO_COPIES });
  await healthyApp(deployment, 'web', 3);
  deployment.takeSent();
  await hold({ dea: 'dea-2', durationMs: 200_000 });
  const rebooted = deployment.dea('dea-2');
  const [guid] = rebooted.guidsOf('web');
  rebooted.connected = false;
  await deployment.advance(120);
  expect(deployment.takeSent()).toEqual([]);
  rebooted.connected = true;
  await deployment.advance(90);
  expect(deployment.takeSent()).toEqual([]);
  expect(rebooted.guidsOf('web')).toEqual([guid]);
});

test('a retry starts a given-up index at once', async () => {
  deployment = await startCloud({
    processes: TWO_COPIES,
    policy: { giveupCrashNumber: 1, flappingDeath: 1, flappingTimeoutMs: 3_600_000 },
    executesRequests: true,
  });
  const [first] = await healthyApp(deployment, 'web', 1);
  await endInstance(deployment, first, 'CRASHED');
  await deployment.heartbeat();
  const dea = [...deployment.deas.values()].find((one) => one.guidsOf('web').length > 0);
  await endInstance(deployment, dea?.guidsOf('web')[0], 'CRASHED');
  await deployment.advance(120);
  expect((await deployment.decisions('web')).map(({ kind }) => kind)).toContain('giveup');
  deployment.takeSent();
  await retry(deployment.observer, { droplet: 'web', indices: [0] }, who());
  await deployment.advance(5);
  expect(deployment.takeSent()).toEqual(['start web/0 (missing)']);
  expect((await deployment.decisions('web')).find(({ kind }) => kind === 'operator')).toMatchObject({
    act: 'retry',
    by: 'alice',
  });
});
