import { afterEach, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { DIALECT_UNDER_TEST } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import { ALL_PROCESSES } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

test('a restart of every process harms nothing and keeps what waits in the queues', async () => {
  deployment = await startCloud({ processes: ['ingest', 'analyzer', 'sync'] });
  const [first] = await healthyApp(deployment, 'app', 3);
  await endInstance(deployment, first, 'CRASHED');
  expect(await deployment.quiescence.queue('starts').getPrioritizedCount()).toBe(1);
  await deployment.processes.stop();
  await deployment.processes.start(...ALL_PROCESSES);
  await deployment.settle();
  expect(deployment.takeSent()).toEqual(['start app/0 (crashed)']);
  deployment.dea('dea-1').run('app', 0);
  await deployment.advance(40);
  expect(deployment.takeSent()).toEqual([]);
});

test('events that arrive while no analyzer runs are processed when one runs again', async () => {
  deployment = await startCloud();
  const [first, second] = await healthyApp(deployment, 'app', 3);
  await deployment.processes.stop('analyzer');
  await endInstance(deployment, first, 'CRASHED');
  deployment.dea('dea-2').changeState(second as string, 'EVACUATING');
  await deployment.advance(20);
  expect(deployment.takeSent()).toEqual([]);
  await deployment.processes.start('analyzer');
  await deployment.settle();
  expect(deployment.takeSent()).toEqual(['start app/0 (crashed)', 'start app/1 (evacuated)']);
});

test('each process can be restarted alone while the others go on', async () => {
  deployment = await startCloud({ executesRequests: true });
  await healthyApp(deployment, 'app', 3);
  for (const name of ALL_PROCESSES) {
    await deployment.processes.stop(name);
    await deployment.advance(4);
    await endInstance(
      deployment,
      deployment.dea('dea-1').guidsOf('app')[0] ?? deployment.dea('dea-2').guidsOf('app')[0],
      'DEA_SHUTDOWN',
    );
    await deployment.processes.start(name);
    await deployment.heartbeat();
    await deployment.advance(41);
  }
  const indices = [...deployment.deas.values()].flatMap((dea) =>
    dea.guidsOf('app').map((guid) => dea.instances.get(guid)?.index),
  );
  // The exit that arrived while ingest was down is found as a missing instance; no instance is lost.
  expect(indices.sort()).toEqual([0, 1, 2]);
  expect(deployment.takeSent()).toHaveLength(4);
});

test('a lost start job is added again at the next reconcile, a lost stop job after droplet_lost', async () => {
  deployment = await startCloud({ processes: ['ingest', 'analyzer', 'sync'] });
  const [first, second] = await healthyApp(deployment, 'app', 2);
  await endInstance(deployment, first, 'CRASHED');
  await deployment.desire('app', { instances: 1 });
  // As if the analyzer had died after storing its decisions and before enqueueing them.
  for (const name of ['starts', 'stops'] as const)
    await deployment.quiescence.queue(name).obliterate({ force: true });
  await deployment.processes.start('nudger');
  // The next heartbeat lists the crashed instance, which causes a reconcile.
  await deployment.advance(12);
  // The controller would refuse the stop now, because only one of two instances runs.
  expect(deployment.takeSent()).toEqual(['start app/0 (crashed)']);
  deployment.dea('dea-1').run('app', 0);
  await deployment.advance(22);
  expect(deployment.takeSent()).toEqual([`stop ${second} of app (extra_index)`]);
});

test('a restart whose job is lost leaves a second after its due time', async () => {
  deployment = await startCloud({ policy: { delayTimeNoiseMs: 0 } });
  await deployment.desire('app', {});
  for (let n = 0; n < 2; n++) {
    const guid = deployment.dea('dea-1').run('app', 0);
    await deployment.heartbeat();
    await endInstance(deployment, guid, 'CRASHED');
  }
  expect(deployment.takeSent()).toEqual(['start app/0 (crashed)']);
  await deployment.quiescence.queue('restarts').obliterate({ force: true });
  await deployment.advance(60);
  expect(deployment.takeSent()).toEqual([]);
  await deployment.advance(2);
  expect(deployment.takeSent()).toEqual(['start app/0 (flapping)']);
});

// Over HTTP nothing is lost in this way: the nudger waits for the reply.
test.skipIf(DIALECT_UNDER_TEST === 'hm9000-http')(
  'a message that was lost with its nudger is sent again after droplet_lost',
  async () => {
    deployment = await startCloud({ processes: ['ingest', 'analyzer', 'sync'] });
    await deployment.processes.start('nudger');
    const [nudger] = deployment.processes.running.filter(({ name }) => name === 'nudger');
    const bus = await nudger?.context.connectBus();
    const [first] = await healthyApp(deployment, 'app', 1);
    if (bus !== undefined) bus.publish = () => undefined; // the nudger settles the decision and dies before it publishes
    await endInstance(deployment, first, 'CRASHED');
    await deployment.processes.stop('nudger');
    expect(deployment.takeSent()).toEqual([]);
    await deployment.processes.start('nudger');
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(3);
    expect(deployment.takeSent()).toEqual(['start app/0 (missing)']);
  },
);

test('starts that wait for NATS are rechecked when it is back, and sent if they are still right', async () => {
  deployment = await startCloud();
  const [first] = await healthyApp(deployment, 'crashed', 1);
  const [second] = await healthyApp(deployment, 'gone', 1);
  await deployment.quiescence.pause('starts');
  await endInstance(deployment, first, 'CRASHED');
  await endInstance(deployment, second, 'CRASHED');
  await deployment.killNats();
  await deployment.quiescence.resume('starts');
  await expect
    .poll(() => deployment.quiescence.queue('starts').getJobCounts('active', 'prioritized'), {
      timeout: 60_000,
    })
    .toEqual({ active: 0, prioritized: 2 });
  await deployment.desire('gone', { state: 'STOPPED' }, { announce: false });
  await deployment.advance(61); // a bulk pass needs no NATS
  await deployment.restartNats();
  // Both leave the queue while the clock stands still.
  await expect
    .poll(() => deployment.quiescence.queue('starts').getJobCounts('active', 'prioritized'), {
      timeout: 60_000,
    })
    .toEqual({ active: 0, prioritized: 0 });
  // The first start may be sent before the test has subscribed again; then it is repeated.
  await deployment.advance(40);
  const slots = deployment.takeSent().map((request) => request.split(' (')[0]);
  expect(new Set(slots)).toEqual(new Set(['start crashed/0']));
  expect(deployment.logged('nats_disconnected').length).toBeGreaterThan(0);
});
