import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
beforeAll(async () => {
  // Hosts die here one after the other: that is not to look like a cut-off network.
  deployment = await startCloud({
    policy: { massLoss: { fraction: 0.55, minimumDeas: 100, holdMs: 300_000 } },
  });
});
afterAll(() => deployment.stop());

describe('the message health.start', () => {
  test('says what the contract says, with the headers that say why', async () => {
    await healthyApp(deployment, 'said', 3, { updated_at: '2014-04-20T13:20:00+00:00', version: 'v-9' });
    await endInstance(deployment, deployment.dea('dea-2').guidsOf('said')[0], 'CRASHED');
    const [sent] = deployment.takeSentMessages('said');
    expect(sent?.text).toBe(
      '{"droplet":"said","last_updated":1398000000,"version":"v-9","indices":[1],"running":{"v-9":2},"flapping":false}',
    );
    expect(sent).toMatchObject({ reason: 'crashed', id: expect.stringContaining('said.start-1.') });
    expect(sent?.decision).toBe(sent?.id);
  });

  test('counts the wanted indices of the live version, and what runs of others', async () => {
    const [first] = await healthyApp(deployment, 'counted', 3);
    const [one, two] = [deployment.dea('dea-1'), deployment.dea('dea-2')];
    one.run('counted', 1, 'counted-v0');
    one.run('counted', 2, 'counted-v0');
    two.run('counted', 1); // a copy of an index counts once
    two.run('counted', 7); // surplus: speaks against no start
    deployment.dea('dea-3').changeState(deployment.dea('dea-3').guidsOf('counted')[0] as string, 'STARTING'); // live, but not RUNNING
    await deployment.heartbeat();
    deployment.takeSentMessages('counted');
    await endInstance(deployment, first, 'CRASHED');
    expect(deployment.takeSentMessages('counted')[0]?.message).toMatchObject({
      indices: [0],
      running: { 'counted-v1': 1, 'counted-v0': 2 },
    });
  });

  test('of an app with nothing RUNNING has no counts', async () => {
    const [only] = await healthyApp(deployment, 'alone', 1);
    await endInstance(deployment, only, 'CRASHED');
    expect(deployment.takeSentMessages('alone')[0]?.message).toMatchObject({ running: {} });
  });
});

describe('missing', () => {
  test('an app that nobody started is started, index by index, after its time', async () => {
    await deployment.desire('new', { instances: 3 });
    await deployment.advance(29);
    expect(deployment.takeSent('new')).toEqual([]);
    await deployment.advance(2);
    const sent = deployment.takeSentMessages('new');
    expect(sent.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    expect(new Set(sent.map(({ reason }) => reason))).toEqual(new Set(['missing']));
    expect(sent[0]?.message.flapping).toBe(false);
  });

  test('an app that is not wanted to run is not started', async () => {
    await deployment.desire('not STARTED', { state: 'STOPPED' });
    await deployment.desire('not staged yet', { package_state: 'PENDING' });
    await deployment.desire('failed to stage', { package_state: 'FAILED' });
    await deployment.desire('no instance', { instances: 0 });
    await deployment.advance(65);
    const apps = ['not STARTED', 'not staged yet', 'failed to stage', 'no instance'];
    expect(apps.flatMap((app) => deployment.takeSent(app))).toEqual([]);
  });

  test('a DEA that falls silent is missed after droplet_lost, and its instances only', async () => {
    await healthyApp(deployment, 'silent', 2);
    const host = deployment.dea('host');
    host.run('silent', 2);
    await deployment.desire('silent', { instances: 3 });
    await deployment.heartbeat(host);
    host.die();
    await deployment.advance(30);
    expect(deployment.takeSent('silent')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('silent')).toEqual(['start silent/2 (missing)']);
    deployment.deas.delete('host');
  });

  test('an instance that drops out of its DEA’s list is missed droplet_lost after it was last listed', async () => {
    const [first] = await healthyApp(deployment, 'dropped', 2);
    await deployment.advance(31);
    const dea = deployment.dea('dea-1');
    await deployment.heartbeat(dea);
    dea.forget(first as string);
    await deployment.advance(29);
    expect(deployment.takeSent('dropped')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('dropped')).toEqual(['start dropped/0 (missing)']);
  });

  test('a DEA that was restarted and lists nothing is missed like a silent one', async () => {
    await healthyApp(deployment, 'rebooted', 1);
    const host = deployment.dea('reborn');
    const lost = host.run('rebooted', 1);
    await deployment.desire('rebooted', { instances: 2 });
    await deployment.advance(31);
    host.forget(lost);
    await deployment.advance(20);
    expect(deployment.takeSent('rebooted')).toEqual([]);
    await deployment.advance(20);
    expect(deployment.takeSent('rebooted')).toEqual(['start rebooted/1 (missing)']);
  });

  test('an update gives all slots new time, an exit with STOPPED its own', async () => {
    const [first, second] = await healthyApp(deployment, 'timed', 2);
    await deployment.advance(31);
    for (const dea of deployment.deas.values()) dea.forget(second as string);
    await deployment.advance(15);
    await endInstance(deployment, first, 'STOPPED');
    await deployment.advance(20); // 35 s after index 1 was listed, 20 s after index 0 was stopped
    expect(deployment.takeSent('timed')).toEqual(['start timed/1 (missing)']);
    await deployment.advance(11);
    expect(deployment.takeSent('timed')).toEqual(['start timed/0 (missing)']);
    await deployment.announceUpdate('timed');
    await deployment.advance(29); // the start of index 1 would have been asked for again
    expect(deployment.takeSent('timed')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('timed')).toEqual(['start timed/0 (missing)', 'start timed/1 (missing)']);
  });

  test('a start that did not help is asked for again after droplet_lost, and not before', async () => {
    await deployment.desire('again', {});
    await deployment.advance(31);
    const [first] = deployment.takeSentMessages('again');
    await deployment.advance(29);
    expect(deployment.takeSent('again')).toEqual([]);
    await deployment.advance(3);
    const [second] = deployment.takeSentMessages('again');
    expect(second?.reason).toBe('missing');
    expect(second?.id).not.toBe(first?.id);
  });
});

describe('crashed', () => {
  test('is started at once', async () => {
    const [, second] = await healthyApp(deployment, 'crash', 3);
    await endInstance(deployment, second, 'CRASHED');
    expect(deployment.takeSent('crash')).toEqual(['start crash/1 (crashed)']);
  });

  test('also an instance that never showed in a heartbeat', async () => {
    await deployment.desire('stillborn', {});
    deployment
      .dea('dea-1')
      .sendExited({ droplet: 'stillborn', version: 'stillborn-v1', guid: 'never', index: 0 }, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('stillborn')).toEqual(['start stillborn/0 (crashed)']);
  });

  test('but not beside a live instance', async () => {
    const [first] = await healthyApp(deployment, 'beside', 1);
    deployment.dea('dea-2').run('beside', 0);
    await deployment.heartbeat();
    await endInstance(deployment, first, 'CRASHED');
    await deployment.advance(31);
    expect(deployment.takeSent('beside')).toEqual([]);
  });

  test('is asked for once, however often the exit is told', async () => {
    const [first] = await healthyApp(deployment, 'echo', 1);
    const told = { droplet: 'echo', version: 'echo-v1', guid: first as string, index: 0 };
    await endInstance(deployment, first, 'CRASHED');
    for (let n = 0; n < 3; n++) deployment.dea('dea-1').sendExited(told, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('echo')).toEqual(['start echo/0 (crashed)']);
    await deployment.advance(10);
    deployment.dea('dea-1').sendExited(told, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('echo')).toEqual([]);
  });

  test.each([
    ['of a STOPPED app', { state: 'STOPPED' }, {}],
    ['of an app that is not staged', { package_state: 'PENDING' }, {}],
    ['of an old version', { version: 'v2' }, { version: 'v1' }],
    ['of an index out of range', { instances: 2 }, { index: 2 }],
    ['with null fields', {}, { version: null, index: null }],
    ['of an unknown app', undefined, {}],
  ])('is not answered: %s', async (name, app, fields) => {
    if (app !== undefined) await deployment.desire(name, app);
    const exit = { droplet: name, version: `${name}-v1`, instance: `${name}!`, index: 0 };
    deployment.publish(SUBJECTS.exited, {
      ...exit,
      ...fields,
      reason: 'CRASHED',
      crash_timestamp: 1_700_000_000,
    });
    await deployment.settle();
    expect(deployment.takeSent(name)).toEqual([]);
  });

  test('what came up and crashed is the crash it is, though its start is not long ago', async () => {
    await deployment.desire('shortlived', {});
    await deployment.advance(31);
    expect(deployment.takeSent('shortlived')).toEqual(['start shortlived/0 (missing)']);
    const guid = deployment.dea('dea-1').run('shortlived', 0, undefined, 'STARTING');
    await deployment.heartbeat();
    await deployment.advance(3);
    await endInstance(deployment, guid, 'CRASHED');
    expect(deployment.takeSent('shortlived')).toEqual(['start shortlived/0 (crashed)']);
  });
});

describe('evacuated', () => {
  test('when its DEA shuts down', async () => {
    const [first] = await healthyApp(deployment, 'shut', 1);
    await endInstance(deployment, first, 'DEA_SHUTDOWN');
    expect(deployment.takeSent('shut')).toEqual(['start shut/0 (evacuated)']);
  });

  test('when its DEA begins to evacuate, and it is heard on as EVACUATING: once', async () => {
    const [first] = await healthyApp(deployment, 'leaving', 1);
    await endInstance(deployment, first, 'DEA_EVACUATION');
    expect(deployment.takeSent('leaving')).toEqual(['start leaving/0 (evacuated)']);
    await deployment.advance(25);
    expect(deployment.takeSent('leaving')).toEqual([]);
  });

  test('also an instance that no heartbeat had listed yet: its first one does not ask again', async () => {
    await deployment.desire('hasty', {});
    const guid = deployment.dea('dea-1').run('hasty', 0);
    await endInstance(deployment, guid, 'DEA_EVACUATION');
    expect(deployment.takeSent('hasty')).toEqual(['start hasty/0 (evacuated)']);
    await deployment.advance(25);
    expect(deployment.takeSent('hasty')).toEqual([]);
  });

  test('when a heartbeat says EVACUATING and nobody said it before', async () => {
    const [first, second] = await healthyApp(deployment, 'unsaid', 2);
    deployment.dea('dea-1').changeState(first as string, 'EVACUATING');
    await deployment.heartbeat();
    expect(deployment.takeSent('unsaid')).toEqual(['start unsaid/0 (evacuated)']);
    deployment.dea('dea-2').changeState(second as string, 'EVACUATING');
    deployment.dea('dea-3').run('unsaid', 1, undefined, 'STARTING');
    await deployment.heartbeat();
    expect(deployment.takeSent('unsaid')).toEqual([]);
  });

  test.each(['DEA_SHUTDOWN', 'DEA_EVACUATION'] as const)(
    'not if it is not wanted any more (%s)',
    async (reason) => {
      const [first] = await healthyApp(deployment, reason, 1);
      await deployment.desire(reason, { state: 'STOPPED' });
      deployment.takeSentMessages(reason);
      await endInstance(deployment, first, reason);
      expect(deployment.takeSent(reason).filter((asked) => asked.startsWith('start'))).toEqual([]);
    },
  );
});

describe('late words', () => {
  test('a heartbeat after the exit does not make the instance live again; two droplet_lost later it is believed', async () => {
    const [first] = await healthyApp(deployment, 'ghost', 1);
    await endInstance(deployment, first, 'DEA_SHUTDOWN');
    expect(deployment.takeSent('ghost')).toEqual(['start ghost/0 (evacuated)']);
    deployment.dea('dea-1').resume(first as string);
    await deployment.advance(31);
    expect(deployment.takeSent('ghost')).toEqual(['start ghost/0 (missing)']);
    await deployment.advance(45); // 76 s after the exit: a DEA that was restarted and resumed its instances
    deployment.takeSentMessages('ghost');
    await deployment.advance(65);
    expect(deployment.takeSent('ghost')).toEqual([]);
  });

  test('an exit that comes when a new instance runs changes nothing', async () => {
    const [first] = await healthyApp(deployment, 'late', 1);
    deployment.dea('dea-1').forget(first as string);
    await deployment.advance(40);
    expect(deployment.takeSent('late')).toEqual(['start late/0 (missing)']);
    deployment.dea('dea-2').run('late', 0);
    await deployment.heartbeat();
    deployment
      .dea('dea-1')
      .sendExited({ droplet: 'late', version: 'late-v1', guid: first as string, index: 0 }, 'CRASHED');
    await deployment.settle();
    await deployment.advance(31);
    expect(deployment.takeSent('late')).toEqual([]);
  });

  test('an instance that only changes its state may change back', async () => {
    const [first] = await healthyApp(deployment, 'moody', 1);
    deployment.dea('dea-1').changeState(first as string, 'STARTING');
    await deployment.heartbeat();
    deployment.dea('dea-1').changeState(first as string, 'RUNNING');
    await deployment.advance(40);
    expect(deployment.takeSent('moody')).toEqual([]);
  });

  test('an instance in a state of no account is not live', async () => {
    const [first] = await healthyApp(deployment, 'resuming', 1);
    await deployment.advance(31);
    deployment.dea('dea-1').changeState(first as string, 'RESUMING');
    await deployment.advance(12);
    expect(deployment.takeSent('resuming')).toEqual(['start resuming/0 (missing)']);
  });
});

describe('droplets that nobody knows', () => {
  test('are not touched before their time', async () => {
    deployment.dea('dea-1').run('foundling', 0);
    await deployment.advance(60);
    expect(deployment.takeSent('foundling')).toEqual([]);
  });
});
