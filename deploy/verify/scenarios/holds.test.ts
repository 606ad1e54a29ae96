import { afterEach, describe, expect, test } from 'vitest';
import { ingestorSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

describe('actual_not_fresh', () => {
  test('after a first start, no start and no duplicate stop is sent before every DEA had droplet_lost to send a heartbeat', async () => {
    deployment = await Deployment.start();
    await deployment.desire('first', { instances: 2 });
    deployment.dea('dea-1').run('first', 0);
    await deployment.desire('twice', {});
    const copies = ['dea-1', 'dea-2'].map((dea) => deployment.dea(dea).run('twice', 0));
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(12);
    expect(deployment.takeSent()).toEqual([
      'start first/1 (missing)',
      `stop ${copies[1]} of twice (duplicate)`,
    ]);
  });

  test('it ends without any heartbeat: the apps of an empty cloud are started', async () => {
    deployment = await Deployment.start();
    await deployment.desire('only', {});
    await deployment.advance(35);
    expect(deployment.takeSent()).toEqual(['start only/0 (missing)']);
  });

  test('after a NATS outage nothing is missing before droplet_lost has passed again', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'safe', 3);
    await deployment.advance(40);
    await deployment.killNats();
    await deployment.advance(60);
    await deployment.restartNats();
    await deployment.tick();
    expect(deployment.takeSent()).toEqual([]);
    // All instances but one are reported again. That one is started, but not before droplet_lost has passed.
    deployment.dea('dea-3').die();
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(7);
    expect(deployment.takeSent()).toEqual(['start safe/2 (missing)']);
  });

  test('after a NATS outage the replacement of an EVACUATING instance is not missing, though its DEA reports later', async () => {
    deployment = await startCloud();
    const [leaving] = await healthyApp(deployment, 'moved', 1);
    await deployment.advance(40);
    await endInstance(deployment, leaving, 'DEA_EVACUATION');
    expect(deployment.takeSent()).toEqual(['start moved/0 (evacuated)']);
    const dea = deployment.dea('dea-2');
    dea.run('moved', 0);
    await deployment.quiescence.pause('stops'); // the evacuated instance stops slowly
    await deployment.advance(20);
    await deployment.killNats();
    await deployment.advance(40);
    dea.connected = false;
    await deployment.restartNats();
    await deployment.heartbeat(); // the ingestor is back before the DEA, whose answer to its request is missing
    expect(deployment.takeSent()).toEqual([]);
    expect(await deployment.decisions('moved')).toContainEqual(
      expect.objectContaining({ kind: 'held', reason: 'evacuated', hold: 'actual_not_fresh' }),
    );
    dea.die();
    await deployment.advance(36);
    expect(deployment.takeSent()).toEqual(['start moved/0 (evacuated)']);
  });

  test('an outage of all ingestors raises it, but a short restart does not', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'steady', 3);
    const dea = deployment.dea('dea-3');
    dea.die();
    await deployment.processes.stop('ingest');
    await deployment.advance(5);
    await deployment.processes.start('ingest');
    await deployment.advance(31); // the stopped ingestor may have lost a heartbeat of this DEA
    expect(deployment.takeSent()).toEqual(['start steady/2 (missing)']);

    await deployment.processes.stop('ingest');
    await deployment.advance(60);
    await deployment.processes.start('ingest');
    await deployment.heartbeat();
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]); // not even a repeated start
    await deployment.advance(10);
    expect(deployment.takeSent()).toEqual(['start steady/2 (missing)']);
  });

  test('a stall of every ingestor raises it', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'stalled', 2);
    deployment.clock.advance(35_000);
    await deployment.tick();
    deployment.dea('dea-2').die();
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(10);
    expect(deployment.takeSent()).toEqual(['start stalled/1 (missing)']);
  });

  test('a DEA is not lost while a stalled ingestor may hold its heartbeat', async () => {
    deployment = await startCloud();
    const { client, keys } = deployment.observer;
    await healthyApp(deployment, 'late', 3);
    // NATS delivers a share of the heartbeats to each ingestor; what the stalled one has received is unknown.
    deployment.bus.subscribe(ingestorSubject('stalled'), {}, (message) => message.respond());
    const publishWatermark = () => client.zadd(keys.watermarks, deployment.clock.nowMs(), 'stalled');
    await publishWatermark();
    deployment.dea('dea-3').connected = false;
    for (let seconds = 0; seconds < 25; seconds += 5) {
      await deployment.advance(5);
      await publishWatermark();
    }
    await deployment.advance(9);
    expect(deployment.takeSent()).toEqual([]);
    deployment.dea('dea-3').connected = true;
    await deployment.heartbeat();
    await publishWatermark();
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('a DEA that is cut off just after its heartbeat was lost is lost droplet_lost after that heartbeat', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'late', 3);
    await deployment.advance(40);
    const dea = deployment.dea('dea-3');
    await deployment.heartbeat();
    await deployment.advance(6);
    await deployment.processes.stop('ingest');
    dea.sendHeartbeat();
    dea.connected = false;
    await deployment.processes.start('ingest');
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(8);
    expect(deployment.takeSent()).toEqual(['start late/2 (missing)']);
  });

  test('after Redis lost all its data no healthy instance is harmed, and the state is rebuilt', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'kept', 3);
    await deployment.advance(20);
    await deployment.emptyRedis();
    await deployment.tick();
    await deployment.advance(65);
    expect(deployment.takeSent()).toEqual([]);
    await endInstance(deployment, deployment.dea('dea-1').guidsOf('kept')[0], 'CRASHED');
    deployment.dea('dea-2').forget(deployment.dea('dea-2').guidsOf('kept')[0] as string);
    await deployment.advance(41);
    expect(deployment.takeSent()).toEqual([
      'start kept/0 (crashed)',
      'start kept/0 (missing)',
      'start kept/1 (missing)',
    ]);
  });

  test('a crash or an evacuation causes a start in spite of it', async () => {
    deployment = await Deployment.start();
    const [first, second] = await healthyApp(deployment, 'urgent', 2);
    await endInstance(deployment, first, 'CRASHED');
    await endInstance(deployment, second, 'DEA_SHUTDOWN');
    expect(deployment.takeSent()).toEqual(['start urgent/0 (crashed)', 'start urgent/1 (evacuated)']);
  });
});

describe('desired_unavailable', () => {
  test('holds missing starts and all stops but duplicates, from desired_state_lost after the last pass on', async () => {
    deployment = await startCloud({ policy: { giveupCrashNumber: 0 } });
    const guids = await healthyApp(deployment, 'known', 3);
    await healthyApp(deployment, 'others', 3);
    deployment.controller.faults.status = { code: 503 };
    await deployment.advance(120); // the last pass is not that old yet
    deployment.dea('dea-1').forget(guids[0] as string);
    await deployment.advance(41);
    expect(deployment.takeSent('known')).toEqual(['start known/0 (missing)']);
    await deployment.advance(25);
    deployment.takeSentMessages();

    deployment.dea('dea-1').run('known', 7); // surplus
    deployment.dea('dea-3').forget(guids[2] as string); // missing
    const copy = deployment.dea('dea-1').run('others', 1);
    deployment.dea('dea-1').run('foundling', 0);
    await deployment.advance(61);
    expect(new Set(deployment.takeSent())).toEqual(new Set([`stop ${copy} of others (duplicate)`]));
    await endInstance(deployment, copy, 'STOPPED');
    await endInstance(deployment, guids[1], 'CRASHED');
    expect(deployment.takeSent()).toEqual(['start known/1 (crashed)']);

    delete deployment.controller.faults.status;
    await deployment.advance(36);
    const sent = deployment.takeSent('known');
    expect(sent).toContain('start known/0 (missing)');
    expect(sent).toContain('start known/2 (missing)');
  });

  test('before the first complete pass nothing is surplus or missing', async () => {
    deployment = await Deployment.start({ processes: ['ingest', 'analyzer', 'nudger'] });
    deployment.dea('dea-1').run('early', 0);
    await deployment.advance(240);
    expect(deployment.takeSent()).toEqual([]);
  });
});

describe('update_required', () => {
  test('missing starts and stops of that droplet wait for a pass that began after the update', async () => {
    deployment = await startCloud();
    await healthyApp(deployment, 'updated', 2);
    await healthyApp(deployment, 'other', 2);
    deployment.controller.faults.status = { code: 500 };
    for (const app of ['updated', 'other']) deployment.dea('dea-1').run(app, 5);
    await deployment.desire('updated', { instances: 3 });
    await deployment.heartbeat();
    expect(deployment.takeSent()).toEqual([expect.stringMatching(/^stop .* of other \(extra_index\)/)]);
    await deployment.advance(40);
    expect(deployment.takeSent('updated')).toEqual([]);
    delete deployment.controller.faults.status;
    await deployment.advance(31);
    const sent = deployment.takeSent('updated');
    expect(sent).toContain('start updated/2 (missing)');
  });

  test('a crash waits for that pass, and is then decided by what it brought', async () => {
    deployment = await startCloud();
    const [first] = await healthyApp(deployment, 'goes', 1);
    const [second] = await healthyApp(deployment, 'stays', 1);
    const [third] = await healthyApp(deployment, 'left', 1);
    await deployment.quiescence.pause('sync');
    deployment.controller.put('goes', { state: 'STOPPED' });
    for (const droplet of ['goes', 'stays', 'left']) deployment.publish(SUBJECTS.updated, { droplet });
    await endInstance(deployment, first, 'CRASHED');
    await endInstance(deployment, second, 'CRASHED');
    await endInstance(deployment, third, 'DEA_EVACUATION');
    await deployment.advance(3);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.quiescence.resume('sync');
    await deployment.settle();
    await deployment.advance(2);
    expect(deployment.takeSent()).toEqual(['start left/0 (evacuated)', 'start stays/0 (crashed)']);
  });

  test('an update requests a pass at once, many updates share one pass, and one during a pass causes one more', async () => {
    deployment = await startCloud();
    await deployment.quiescence.pause('sync');
    for (let n = 0; n < 20; n++) deployment.publish(SUBJECTS.updated, { droplet: `app-${n}` });
    await deployment.settle();
    let before = deployment.controller.pageRequests;
    deployment.clock.advance(1);
    await deployment.quiescence.resume('sync');
    await deployment.settle();
    expect(deployment.controller.pageRequests - before).toBe(1); // no apps: the first page is the last

    before = deployment.controller.pageRequests;
    let during = true;
    deployment.controller.beforePage = async () => {
      if (!during) return;
      during = false;
      deployment.clock.advance(1);
      for (let n = 0; n < 20; n++) deployment.publish(SUBJECTS.updated, { droplet: `late-${n}` });
      // NATS may not have delivered all updates to ingest yet.
      const { client, keys } = deployment.observer;
      await expect
        .poll(() => client.hget(keys.droplet('late-19'), FIELD.updated), { timeout: 10_000 })
        .not.toBeNull();
      await deployment.processes.find('ingest')?.ingest?.idle();
      deployment.clock.advance(1);
    };
    await deployment.announceUpdate('app-1');
    expect(deployment.controller.pageRequests - before).toBe(2);
  });
});

describe('mass_loss', () => {
  /** Six DEAs with one instance of one app each; four of them are disconnected together. */
  async function disconnectFour(policy = {}): Promise<void> {
    deployment = await startCloud({ deas: 6, policy });
    await deployment.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) deployment.dea(`dea-${index + 1}`).run('wide', index);
    await deployment.advance(40);
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).connected = false;
    await deployment.advance(90);
    expect(deployment.takeSent()).toEqual([]);
    expect(deployment.logged('hold_on')).toContainEqual(
      expect.objectContaining({ hold: 'mass_loss', deas: 4 }),
    );
  }

  test('instances of DEAs that went silent together are not started elsewhere, and count again when the DEAs are back', async () => {
    await disconnectFour();
    await endInstance(deployment, deployment.dea('dea-5').guidsOf('wide')[0], 'CRASHED');
    expect(deployment.takeSent()).toEqual(['start wide/4 (crashed)']);
    deployment.dea('dea-6').forget(deployment.dea('dea-6').guidsOf('wide')[0] as string);
    await deployment.advance(41);
    // An instance that is missing on a live DEA is started.
    expect(deployment.takeSent()).toEqual(expect.arrayContaining(['start wide/5 (missing)']));
    for (const dea of deployment.deas.values()) dea.connected = true;
    await deployment.advance(21);
    expect(deployment.takeSent().filter((request) => !/wide.[45]/.test(request))).toEqual([]);
    expect(deployment.logged('hold_off')).toContainEqual(expect.objectContaining({ hold: 'mass_loss' }));
    deployment.dea('dea-1').die(); // a single dead DEA is lost again
    await deployment.advance(41);
    expect(deployment.takeSent()).toContain('start wide/0 (missing)');
  });

  test('it is raised in time even if a heartbeat was lost just before, in a restart of ingest', async () => {
    deployment = await startCloud({ deas: 6 });
    await deployment.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) deployment.dea(`dea-${index + 1}`).run('wide', index);
    await deployment.advance(40);
    const others = [...deployment.deas.values()].slice(1);
    const sendHeartbeats = () => {
      for (const dea of others) dea.sendHeartbeat();
    };
    await deployment.advance(6);
    sendHeartbeats();
    await deployment.advance(3);
    await deployment.processes.stop('ingest');
    await deployment.advance(1.5); // the heartbeat of dea-1 is lost, and so will be the next one
    await deployment.processes.start('ingest');
    await deployment.advance(5);
    sendHeartbeats();
    await deployment.tick();
    for (const dea of deployment.deas.values()) dea.connected = false;
    await deployment.advance(90);
    expect(deployment.logged('hold_on')).toContainEqual(expect.objectContaining({ hold: 'mass_loss' }));
    expect(deployment.takeSent()).toEqual([]);
  });

  test('without a tick nothing on a silent DEA is missing, whatever causes a reconcile', async () => {
    deployment = await startCloud({ deas: 6 });
    await deployment.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) deployment.dea(`dea-${index + 1}`).run('wide', index);
    await deployment.advance(40);
    deployment.isTicking = false;
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).connected = false;
    await deployment.advance(35);
    await endInstance(deployment, deployment.dea('dea-5').guidsOf('wide')[0], 'CRASHED');
    expect(deployment.takeSent()).toEqual(['start wide/4 (crashed)']);
    expect((await deployment.decisions('wide')).filter(({ kind }) => kind === 'held')).toHaveLength(4);
    deployment.isTicking = true;
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([]);
    expect(deployment.logged('hold_on')).toContainEqual(
      expect.objectContaining({ hold: 'mass_loss', deas: 4 }),
    );
  });

  test('it ends when an operator releases it', async () => {
    await disconnectFour();
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).die();
    await deployment.observer.client.hset(deployment.observer.keys.holds, 'release_mass_loss', '1');
    await deployment.advance(10);
    expect(deployment.takeSent()).toEqual([0, 1, 2, 3].map((index) => `start wide/${index} (missing)`));
  });

  test('it ends when its hold time is over', async () => {
    await disconnectFour({ massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 120_000 } });
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).die();
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([0, 1, 2, 3].map((index) => `start wide/${index} (missing)`));
  });

  test('DEAs that sent dea.shutdown, whose instances all exited, or that run nothing, do not raise it', async () => {
    deployment = await startCloud({ deas: 8 });
    await deployment.desire('wide', { instances: 8 });
    const guids = [1, 2, 3, 4, 5].map((n) => deployment.dea(`dea-${n}`).run('wide', n - 1));
    for (const n of [6, 7, 8]) deployment.dea(`dea-${n}`).run('wide', n - 1);
    await deployment.advance(10);
    deployment.takeSentMessages();
    deployment.dea('dea-1').sendShutdown();
    deployment.dea('dea-2').sendShutdown();
    deployment.dea('dea-3').end(guids[2] as string, 'STOPPED');
    deployment.dea('dea-4').end(guids[3] as string, 'STOPPED');
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).die();
    deployment.dea('dea-5').die();
    await deployment.advance(45);
    expect(deployment.logged('hold_on')).toEqual([]);
    expect(deployment.takeSent()).toEqual([0, 1, 2, 3, 4].map((index) => `start wide/${index} (missing)`));
  });
});

describe('mass_delete', () => {
  test('if half of all apps are deleted at once, they are not stopped until an operator releases the hold', async () => {
    deployment = await startCloud();
    for (let n = 0; n < 20; n++) await deployment.desire(`app-${n}`, {}, { announce: false });
    const guids = Array.from({ length: 20 }, (_, n) =>
      deployment.dea(`dea-${(n % 3) + 1}`).run(`app-${n}`, 0),
    );
    await deployment.advance(65);
    expect(deployment.takeSent()).toEqual([]);
    for (let n = 0; n < 15; n++) await deployment.deleteApp(`app-${n}`, { announce: false });
    await deployment.advance(300);
    expect(deployment.takeSent()).toEqual([]);
    await endInstance(deployment, guids[0], 'CRASHED'); // a crash causes a start under every hold, by the last known desired state
    expect(deployment.takeViolations().join()).toContain('app-0'); // the controller has deleted the app
    expect(deployment.takeSent()).toEqual(['start app-0/0 (crashed)']);
    await deployment.observer.client.hset(deployment.observer.keys.holds, 'release_mass_delete', '1');
    await deployment.advance(65);
    const stopped = deployment.takeSentMessages().filter(({ reason }) => reason === 'extra_app');
    expect(new Set(stopped.map(({ instance }) => instance))).toEqual(new Set(guids.slice(1, 15)));
  });
});
