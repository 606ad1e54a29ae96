import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { isHm2 } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;

beforeAll(async () => {
  // DEAs die here one after the other, which must not raise mass_loss.
  deployment = await startCloud({
    policy: { massLoss: { fraction: 0.55, minimumDeas: 100, holdMs: 300_000 } },
  });
});

afterAll(() => deployment.stop());

describe.runIf(isHm2)('the message health.start', () => {
  test('has the payload of the contract, and headers with the decision and its reason', async () => {
    await healthyApp(deployment, 'shown', 3, { updated_at: '2014-04-20T13:20:00+00:00', version: 'v-9' });
    await endInstance(deployment, deployment.dea('dea-2').guidsOf('shown')[0], 'CRASHED');
    const [sent] = deployment.takeSentMessages('shown');
    expect(sent?.text).toBe(
      '{"droplet":"shown","last_updated":1398000000,"version":"v-9","indices":[1],"running":{"v-9":2},"flapping":false}',
    );
    expect(sent).toMatchObject({ reason: 'crashed', id: expect.stringContaining('shown.start-1.') });
    expect(sent?.decision).toBe(sent?.id);
  });

  test('counts the wanted indices of the live version, and the instances of other versions', async () => {
    const [first] = await healthyApp(deployment, 'counted', 3);
    const [one, two] = [deployment.dea('dea-1'), deployment.dea('dea-2')];
    one.run('counted', 1, 'counted-v0');
    one.run('counted', 2, 'counted-v0');
    two.run('counted', 1); // a second copy of an index does not count
    two.run('counted', 7); // a surplus instance does not prevent a start
    deployment.dea('dea-3').changeState(deployment.dea('dea-3').guidsOf('counted')[0] as string, 'STARTING'); // live, but not RUNNING
    await deployment.heartbeat();
    await deployment.advance(1); // a version that no pass has listed waits for the next pass
    deployment.takeSentMessages('counted');
    await endInstance(deployment, first, 'CRASHED');
    expect(deployment.takeSentMessages('counted')[0]?.message).toMatchObject({
      indices: [0],
      running: { 'counted-v1': 1, 'counted-v0': 2 },
    });
  });

  test('of an app without a RUNNING instance has no counts', async () => {
    const [only] = await healthyApp(deployment, 'alone', 1);
    await endInstance(deployment, only, 'CRASHED');
    expect(deployment.takeSentMessages('alone')[0]?.message).toMatchObject({ running: {} });
  });
});

describe('missing', () => {
  test('a new app is started, index by index, after the grace period', async () => {
    await deployment.desire('new', { instances: 3 });
    await deployment.advance(29);
    expect(deployment.takeSent('new')).toEqual([]);
    await deployment.advance(2);
    const sent = deployment.takeSentMessages('new');
    expect(sent.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    expect(new Set(sent.map(({ reason }) => reason))).toEqual(new Set(['missing']));
    expect(sent[0]?.message.flapping).toBe(isHm2 ? false : undefined);
  });

  test('an app that must not run is not started', async () => {
    await deployment.desire('not STARTED', { state: 'STOPPED' });
    await deployment.desire('not staged yet', { package_state: 'PENDING' });
    await deployment.desire('failed to stage', { package_state: 'FAILED' });
    await deployment.desire('no instance', { instances: 0 });
    await deployment.advance(65);
    const apps = ['not STARTED', 'not staged yet', 'failed to stage', 'no instance'];
    expect(apps.flatMap((app) => deployment.takeSent(app))).toEqual([]);
  });

  test('a silent DEA is lost after droplet_lost, and only its instances are missing', async () => {
    await healthyApp(deployment, 'silent', 2);
    const dea = deployment.dea('dying');
    dea.run('silent', 2);
    await deployment.desire('silent', { instances: 3 });
    await deployment.heartbeat(dea);
    dea.die();
    await deployment.advance(30);
    expect(deployment.takeSent('silent')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('silent')).toEqual(['start silent/2 (missing)']);
    deployment.deas.delete('dying');
  });

  test('an instance that its DEA no longer lists is missing droplet_lost after it was last listed', async () => {
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

  test('the instances of a restarted DEA that lists nothing are missing after droplet_lost', async () => {
    await healthyApp(deployment, 'rebooted', 1);
    const dea = deployment.dea('restarted');
    const lost = dea.run('rebooted', 1);
    await deployment.desire('rebooted', { instances: 2 });
    await deployment.advance(31);
    dea.forget(lost);
    await deployment.advance(20);
    expect(deployment.takeSent('rebooted')).toEqual([]);
    await deployment.advance(20);
    expect(deployment.takeSent('rebooted')).toEqual(['start rebooted/1 (missing)']);
  });

  test('an update restarts the grace period of all slots, an exit with STOPPED that of its own slot', async () => {
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
    await deployment.advance(29); // without the update, the start of index 1 would have been repeated
    expect(deployment.takeSent('timed')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('timed')).toEqual(['start timed/0 (missing)', 'start timed/1 (missing)']);
  });

  test('a start without effect is repeated after droplet_lost, and not before', async () => {
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

describe('late messages', () => {
  test('a heartbeat after the exit makes the instance live again only after twice droplet_lost', async () => {
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

  test('an exit that arrives after a new instance runs changes nothing', async () => {
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

  test('an instance may change from RUNNING to STARTING and back', async () => {
    const [first] = await healthyApp(deployment, 'moody', 1);
    deployment.dea('dea-1').changeState(first as string, 'STARTING');
    await deployment.heartbeat();
    deployment.dea('dea-1').changeState(first as string, 'RUNNING');
    await deployment.advance(40);
    expect(deployment.takeSent('moody')).toEqual([]);
  });

  test('an instance in any other state is not live', async () => {
    const [first] = await healthyApp(deployment, 'resuming', 1);
    await deployment.advance(31);
    deployment.dea('dea-1').changeState(first as string, 'RESUMING');
    await deployment.advance(12);
    expect(deployment.takeSent('resuming')).toEqual(['start resuming/0 (missing)']);
  });
});

describe('unknown droplets', () => {
  test('are not stopped before desired_state_lost', async () => {
    deployment.dea('dea-1').run('foundling', 0);
    await deployment.advance(60);
    expect(deployment.takeSent('foundling')).toEqual([]);
  });
});
