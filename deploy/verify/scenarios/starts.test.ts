import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
beforeAll(async () => {
  // Hosts die here one after the other: that is not to look like a cut-off network.
  world = await cloud({ policy: { massLoss: { fraction: 0.55, minimumDeas: 100, holdMs: 300_000 } } });
});
afterAll(() => world.stop());

describe('the message health.start', () => {
  test('says what the contract says, with the headers that say why', async () => {
    await healthyApp(world, 'said', 3, { updated_at: '2014-04-20T13:20:00+00:00', version: 'v-9' });
    await end(world, world.dea('dea-2').of('said')[0], 'CRASHED');
    const [sent] = world.takeSent('said');
    expect(sent?.text).toBe(
      '{"droplet":"said","last_updated":1398000000,"version":"v-9","indices":[1],"running":{"v-9":2},"flapping":false}',
    );
    expect(sent).toMatchObject({ reason: 'crashed', id: expect.stringContaining('said.start-1.') });
    expect(sent?.decision).toBe(sent?.id);
  });

  test('counts the wanted indices of the live version, and what runs of others', async () => {
    const [first] = await healthyApp(world, 'counted', 3);
    const [one, two] = [world.dea('dea-1'), world.dea('dea-2')];
    one.run('counted', 1, 'counted-v0');
    one.run('counted', 2, 'counted-v0');
    two.run('counted', 1); // a copy of an index counts once
    two.run('counted', 7); // surplus: speaks against no start
    world.dea('dea-3').turn(world.dea('dea-3').of('counted')[0] as string, 'STARTING'); // live, but not RUNNING
    await world.beat();
    world.takeSent('counted');
    await end(world, first, 'CRASHED');
    expect(world.takeSent('counted')[0]?.message).toMatchObject({
      indices: [0],
      running: { 'counted-v1': 1, 'counted-v0': 2 },
    });
  });

  test('of an app with nothing RUNNING has no counts', async () => {
    const [only] = await healthyApp(world, 'alone', 1);
    await end(world, only, 'CRASHED');
    expect(world.takeSent('alone')[0]?.message).toMatchObject({ running: {} });
  });
});

describe('missing', () => {
  test('an app that nobody started is started, index by index, after its time', async () => {
    await world.desire('new', { instances: 3 });
    await world.advance(29);
    expect(world.takeAsked('new')).toEqual([]);
    await world.advance(2);
    const sent = world.takeSent('new');
    expect(sent.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    expect(new Set(sent.map(({ reason }) => reason))).toEqual(new Set(['missing']));
    expect(sent[0]?.message.flapping).toBe(false);
  });

  test('an app that is not wanted to run is not started', async () => {
    await world.desire('not STARTED', { state: 'STOPPED' });
    await world.desire('not staged yet', { package_state: 'PENDING' });
    await world.desire('failed to stage', { package_state: 'FAILED' });
    await world.desire('no instance', { instances: 0 });
    await world.advance(65);
    const apps = ['not STARTED', 'not staged yet', 'failed to stage', 'no instance'];
    expect(apps.flatMap((app) => world.takeAsked(app))).toEqual([]);
  });

  test('a DEA that falls silent is missed after droplet_lost, and its instances only', async () => {
    await healthyApp(world, 'silent', 2);
    const host = world.dea('host');
    host.run('silent', 2);
    await world.desire('silent', { instances: 3 });
    await world.beat(host);
    host.die();
    await world.advance(30);
    expect(world.takeAsked('silent')).toEqual([]);
    await world.advance(2);
    expect(world.takeAsked('silent')).toEqual(['start silent/2 (missing)']);
    world.deas.delete('host');
  });

  test('an instance that drops out of its DEA’s list is missed droplet_lost after it was last listed', async () => {
    const [first] = await healthyApp(world, 'dropped', 2);
    await world.advance(31);
    const dea = world.dea('dea-1');
    await world.beat(dea);
    dea.forget(first as string);
    await world.advance(29);
    expect(world.takeAsked('dropped')).toEqual([]);
    await world.advance(2);
    expect(world.takeAsked('dropped')).toEqual(['start dropped/0 (missing)']);
  });

  test('a DEA that was restarted and lists nothing is missed like a silent one', async () => {
    await healthyApp(world, 'rebooted', 1);
    const host = world.dea('reborn');
    const lost = host.run('rebooted', 1);
    await world.desire('rebooted', { instances: 2 });
    await world.advance(31);
    host.forget(lost);
    await world.advance(20);
    expect(world.takeAsked('rebooted')).toEqual([]);
    await world.advance(20);
    expect(world.takeAsked('rebooted')).toEqual(['start rebooted/1 (missing)']);
  });

  test('an update gives all slots new time, an exit with STOPPED its own', async () => {
    const [first, second] = await healthyApp(world, 'timed', 2);
    await world.advance(31);
    for (const dea of world.deas.values()) dea.forget(second as string);
    await world.advance(15);
    await end(world, first, 'STOPPED');
    await world.advance(20); // 35 s after index 1 was listed, 20 s after index 0 was stopped
    expect(world.takeAsked('timed')).toEqual(['start timed/1 (missing)']);
    await world.advance(11);
    expect(world.takeAsked('timed')).toEqual(['start timed/0 (missing)']);
    await world.updated('timed');
    await world.advance(29); // the start of index 1 would have been asked for again
    expect(world.takeAsked('timed')).toEqual([]);
    await world.advance(2);
    expect(world.takeAsked('timed')).toEqual(['start timed/0 (missing)', 'start timed/1 (missing)']);
  });

  test('a start that did not help is asked for again after droplet_lost, and not before', async () => {
    await world.desire('again', {});
    await world.advance(31);
    const [first] = world.takeSent('again');
    await world.advance(29);
    expect(world.takeAsked('again')).toEqual([]);
    await world.advance(3);
    const [second] = world.takeSent('again');
    expect(second?.reason).toBe('missing');
    expect(second?.id).not.toBe(first?.id);
  });
});

describe('crashed', () => {
  test('is started at once', async () => {
    const [, second] = await healthyApp(world, 'crash', 3);
    await end(world, second, 'CRASHED');
    expect(world.takeAsked('crash')).toEqual(['start crash/1 (crashed)']);
  });

  test('also an instance that never showed in a heartbeat', async () => {
    await world.desire('stillborn', {});
    world
      .dea('dea-1')
      .sayExited({ droplet: 'stillborn', version: 'stillborn-v1', guid: 'never', index: 0 }, 'CRASHED');
    await world.settle();
    expect(world.takeAsked('stillborn')).toEqual(['start stillborn/0 (crashed)']);
  });

  test('but not beside a live instance', async () => {
    const [first] = await healthyApp(world, 'beside', 1);
    world.dea('dea-2').run('beside', 0);
    await world.beat();
    await end(world, first, 'CRASHED');
    await world.advance(31);
    expect(world.takeAsked('beside')).toEqual([]);
  });

  test('is asked for once, however often the exit is told', async () => {
    const [first] = await healthyApp(world, 'echo', 1);
    const told = { droplet: 'echo', version: 'echo-v1', guid: first as string, index: 0 };
    await end(world, first, 'CRASHED');
    for (let n = 0; n < 3; n++) world.dea('dea-1').sayExited(told, 'CRASHED');
    await world.settle();
    expect(world.takeAsked('echo')).toEqual(['start echo/0 (crashed)']);
    await world.advance(10);
    world.dea('dea-1').sayExited(told, 'CRASHED');
    await world.settle();
    expect(world.takeAsked('echo')).toEqual([]);
  });

  test.each([
    ['of a STOPPED app', { state: 'STOPPED' }, {}],
    ['of an app that is not staged', { package_state: 'PENDING' }, {}],
    ['of an old version', { version: 'v2' }, { version: 'v1' }],
    ['of an index out of range', { instances: 2 }, { index: 2 }],
    ['with null fields', {}, { version: null, index: null }],
    ['of an unknown app', undefined, {}],
  ])('is not answered: %s', async (name, app, fields) => {
    if (app !== undefined) await world.desire(name, app);
    const exit = { droplet: name, version: `${name}-v1`, instance: `${name}!`, index: 0 };
    world.publish(SUBJECTS.exited, { ...exit, ...fields, reason: 'CRASHED', crash_timestamp: 1_700_000_000 });
    await world.settle();
    expect(world.takeAsked(name)).toEqual([]);
  });

  test('what came up and crashed is the crash it is, though its start is not long ago', async () => {
    await world.desire('shortlived', {});
    await world.advance(31);
    expect(world.takeAsked('shortlived')).toEqual(['start shortlived/0 (missing)']);
    const guid = world.dea('dea-1').run('shortlived', 0, undefined, 'STARTING');
    await world.beat();
    await world.advance(3);
    await end(world, guid, 'CRASHED');
    expect(world.takeAsked('shortlived')).toEqual(['start shortlived/0 (crashed)']);
  });
});

describe('evacuated', () => {
  test('when its DEA shuts down', async () => {
    const [first] = await healthyApp(world, 'shut', 1);
    await end(world, first, 'DEA_SHUTDOWN');
    expect(world.takeAsked('shut')).toEqual(['start shut/0 (evacuated)']);
  });

  test('when its DEA begins to evacuate, and it is heard on as EVACUATING: once', async () => {
    const [first] = await healthyApp(world, 'leaving', 1);
    await end(world, first, 'DEA_EVACUATION');
    expect(world.takeAsked('leaving')).toEqual(['start leaving/0 (evacuated)']);
    await world.advance(25);
    expect(world.takeAsked('leaving')).toEqual([]);
  });

  test('also an instance that no heartbeat had listed yet: its first one does not ask again', async () => {
    await world.desire('hasty', {});
    const guid = world.dea('dea-1').run('hasty', 0);
    await end(world, guid, 'DEA_EVACUATION');
    expect(world.takeAsked('hasty')).toEqual(['start hasty/0 (evacuated)']);
    await world.advance(25);
    expect(world.takeAsked('hasty')).toEqual([]);
  });

  test('when a heartbeat says EVACUATING and nobody said it before', async () => {
    const [first, second] = await healthyApp(world, 'unsaid', 2);
    world.dea('dea-1').turn(first as string, 'EVACUATING');
    await world.beat();
    expect(world.takeAsked('unsaid')).toEqual(['start unsaid/0 (evacuated)']);
    world.dea('dea-2').turn(second as string, 'EVACUATING');
    world.dea('dea-3').run('unsaid', 1, undefined, 'STARTING');
    await world.beat();
    expect(world.takeAsked('unsaid')).toEqual([]);
  });

  test.each(['DEA_SHUTDOWN', 'DEA_EVACUATION'])('not if it is not wanted any more (%s)', async (reason) => {
    const [first] = await healthyApp(world, reason, 1);
    await world.desire(reason, { state: 'STOPPED' });
    world.takeSent(reason);
    await end(world, first, reason);
    expect(world.takeAsked(reason).filter((asked) => asked.startsWith('start'))).toEqual([]);
  });
});

describe('late words', () => {
  test('a heartbeat after the exit does not make the instance live again; two droplet_lost later it is believed', async () => {
    const [first] = await healthyApp(world, 'ghost', 1);
    await end(world, first, 'DEA_SHUTDOWN');
    expect(world.takeAsked('ghost')).toEqual(['start ghost/0 (evacuated)']);
    world.dea('dea-1').resume(first as string);
    await world.advance(31);
    expect(world.takeAsked('ghost')).toEqual(['start ghost/0 (missing)']);
    await world.advance(45); // 76 s after the exit: a DEA that was restarted and resumed its instances
    world.takeSent('ghost');
    await world.advance(65);
    expect(world.takeAsked('ghost')).toEqual([]);
  });

  test('an exit that comes when a new instance runs changes nothing', async () => {
    const [first] = await healthyApp(world, 'late', 1);
    world.dea('dea-1').forget(first as string);
    await world.advance(40);
    expect(world.takeAsked('late')).toEqual(['start late/0 (missing)']);
    world.dea('dea-2').run('late', 0);
    await world.beat();
    world
      .dea('dea-1')
      .sayExited({ droplet: 'late', version: 'late-v1', guid: first as string, index: 0 }, 'CRASHED');
    await world.settle();
    await world.advance(31);
    expect(world.takeAsked('late')).toEqual([]);
  });

  test('an instance that only changes its state may change back', async () => {
    const [first] = await healthyApp(world, 'moody', 1);
    world.dea('dea-1').turn(first as string, 'STARTING');
    await world.beat();
    world.dea('dea-1').turn(first as string, 'RUNNING');
    await world.advance(40);
    expect(world.takeAsked('moody')).toEqual([]);
  });

  test('an instance in a state of no account is not live', async () => {
    const [first] = await healthyApp(world, 'resuming', 1);
    await world.advance(31);
    world.dea('dea-1').turn(first as string, 'RESUMING');
    await world.advance(12);
    expect(world.takeAsked('resuming')).toEqual(['start resuming/0 (missing)']);
  });
});

describe('droplets that nobody knows', () => {
  test('are not touched before their time', async () => {
    world.dea('dea-1').run('foundling', 0);
    await world.advance(60);
    expect(world.takeAsked('foundling')).toEqual([]);
  });
});
