import { afterEach, expect, test } from 'vitest';
import { ALL_PROCESSES, type Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
afterEach(() => world.stop());

test('a restart of everything hurts nothing and forgets nothing that waits', async () => {
  world = await cloud({ processes: ['ingest', 'analyzer', 'sync'] });
  const [first] = await healthyApp(world, 'app', 3);
  await end(world, first, 'CRASHED');
  expect(await world.rest.queue('starts').getPrioritizedCount()).toBe(1);
  await world.end();
  await world.run(...ALL_PROCESSES);
  await world.settle();
  expect(world.takeAsked()).toEqual(['start app/0 (crashed)']);
  world.dea('dea-1').run('app', 0);
  await world.advance(40);
  expect(world.takeAsked()).toEqual([]);
});

test('what happens while no analyzer runs is acted on when one is back', async () => {
  world = await cloud();
  const [first, second] = await healthyApp(world, 'app', 3);
  await world.end('analyzer');
  await end(world, first, 'CRASHED');
  world.dea('dea-2').turn(second as string, 'EVACUATING');
  await world.advance(20);
  expect(world.takeAsked()).toEqual([]);
  await world.run('analyzer');
  await world.settle();
  expect(world.takeAsked()).toEqual(['start app/0 (crashed)', 'start app/1 (evacuated)']);
});

test('each process alone can be ended and begun while the others go on', async () => {
  world = await cloud({ obedient: true });
  await healthyApp(world, 'app', 3);
  for (const name of ALL_PROCESSES) {
    await world.end(name);
    await world.advance(4);
    await end(world, world.dea('dea-1').of('app')[0] ?? world.dea('dea-2').of('app')[0], 'DEA_SHUTDOWN');
    await world.run(name);
    await world.beat();
    await world.advance(41);
  }
  const indices = [...world.deas.values()].flatMap((dea) =>
    dea.of('app').map((guid) => dea.instances.get(guid)?.index),
  );
  // One end came when nobody listened, and is noticed as missing; none is lost.
  expect(indices.sort()).toEqual([0, 1, 2]);
  expect(world.takeAsked()).toHaveLength(4);
});

test('a start whose job is lost is made sure of at the next look, a stop after droplet_lost', async () => {
  world = await cloud({ processes: ['ingest', 'analyzer', 'sync'] });
  const [first, second] = await healthyApp(world, 'app', 2);
  await end(world, first, 'CRASHED');
  await world.desire('app', { instances: 1 });
  // As if the analyzer had died between storing its decisions and enqueueing them.
  for (const name of ['starts', 'stops'] as const) await world.rest.queue(name).obliterate({ force: true });
  await world.run('nudger');
  // The next heartbeat says that one has crashed.
  await world.advance(12);
  // The stop was right when only one ran of two: the controller would refuse it now.
  expect(world.takeAsked()).toEqual(['start app/0 (crashed)']);
  world.dea('dea-1').run('app', 0);
  await world.advance(22);
  expect(world.takeAsked()).toEqual([`stop ${second} of app (extra_index)`]);
});

test('a restart whose job is lost leaves a second after it was due', async () => {
  world = await cloud({ policy: { delayTimeNoiseMs: 0 } });
  await world.desire('app', {});
  for (let n = 0; n < 2; n++) {
    const guid = world.dea('dea-1').run('app', 0);
    await world.beat();
    await end(world, guid, 'CRASHED');
  }
  expect(world.takeAsked()).toEqual(['start app/0 (crashed)']);
  await world.rest.queue('restarts').obliterate({ force: true });
  await world.advance(60);
  expect(world.takeAsked()).toEqual([]);
  await world.advance(2);
  expect(world.takeAsked()).toEqual(['start app/0 (flapping)']);
});

test('a message that was lost with its nudger is asked for again after droplet_lost', async () => {
  world = await cloud({ processes: ['ingest', 'analyzer', 'sync'] });
  await world.run('nudger');
  const [nudger] = world.running.filter(({ name }) => name === 'nudger');
  const bus = await nudger?.context.connectBus();
  const [first] = await healthyApp(world, 'app', 1);
  if (bus !== undefined) bus.publish = () => undefined; // settled, and dead before it was published
  await end(world, first, 'CRASHED');
  await world.end('nudger');
  expect(world.takeAsked()).toEqual([]);
  await world.run('nudger');
  await world.advance(29);
  expect(world.takeAsked()).toEqual([]);
  await world.advance(3);
  expect(world.takeAsked()).toEqual(['start app/0 (missing)']);
});

test('starts and stops that wait for NATS are checked when it is back, and sent then if they are still right', async () => {
  world = await cloud();
  const [first] = await healthyApp(world, 'crashed', 1);
  const [second] = await healthyApp(world, 'gone', 1);
  await world.rest.hold('starts');
  await end(world, first, 'CRASHED');
  await end(world, second, 'CRASHED');
  await world.loseNats();
  await world.rest.release('starts');
  await expect
    .poll(() => world.rest.queue('starts').getJobCounts('active', 'prioritized'), { timeout: 10_000 })
    .toEqual({ active: 0, prioritized: 2 });
  await world.desire('gone', { state: 'STOPPED' }, { quietly: true });
  await world.advance(61); // a bulk pass needs no NATS
  await world.regainNats();
  // Both leave the queue while no time goes by.
  await expect
    .poll(() => world.rest.queue('starts').getJobCounts('active', 'prioritized'), { timeout: 10_000 })
    .toEqual({ active: 0, prioritized: 0 });
  // The first one may leave before our own connection listens again; then it is asked for once more.
  await world.advance(40);
  const slots = world.takeAsked().map((asked) => asked.split(' (')[0]);
  expect(new Set(slots)).toEqual(new Set(['start crashed/0']));
  expect(world.logged('nats_disconnected').length).toBeGreaterThan(0);
});
