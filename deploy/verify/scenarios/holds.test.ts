import { afterEach, describe, expect, test } from 'vitest';
import { ingestorSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
afterEach(() => world.stop());

describe('actual_not_fresh', () => {
  test('after a first start nothing is missing and no copy is surplus until all were listened to for long enough', async () => {
    world = await Deployment.start();
    await world.desire('first', { instances: 2 });
    world.dea('dea-1').run('first', 0);
    await world.desire('twice', {});
    const copies = ['dea-1', 'dea-2'].map((dea) => world.dea(dea).run('twice', 0));
    await world.advance(29);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(12);
    expect(world.takeAsked()).toEqual(['start first/1 (missing)', `stop ${copies[1]} of twice (duplicate)`]);
  });

  test('listening counts, not hearing: an empty cloud is silent and is started', async () => {
    world = await Deployment.start();
    await world.desire('only', {});
    await world.advance(35);
    expect(world.takeAsked()).toEqual(['start only/0 (missing)']);
  });

  test('after a NATS outage nothing is taken as missing', async () => {
    world = await cloud();
    await healthyApp(world, 'safe', 3);
    await world.advance(40);
    await world.loseNats();
    await world.advance(60);
    await world.regainNats();
    await world.turn();
    expect(world.takeAsked()).toEqual([]);
    // All instances but one are heard again; that one is started, but not before it had the time to be heard.
    world.dea('dea-3').die();
    await world.advance(29);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(7);
    expect(world.takeAsked()).toEqual(['start safe/2 (missing)']);
  });

  test('nor is what took the place of an instance that is still evacuated, and whose host is heard again first', async () => {
    world = await cloud();
    const [leaving] = await healthyApp(world, 'moved', 1);
    await world.advance(40);
    await end(world, leaving, 'DEA_EVACUATION');
    expect(world.takeAsked()).toEqual(['start moved/0 (evacuated)']);
    const host = world.dea('dea-2');
    host.run('moved', 0);
    await world.rest.hold('stops'); // one that is slow to go
    await world.advance(20);
    await world.loseNats();
    await world.advance(40);
    host.alive = false;
    await world.regainNats();
    await world.beat(); // an ingestor that is back before a DEA has asked it in vain
    expect(world.takeAsked()).toEqual([]);
    expect(await world.decisions('moved')).toContainEqual(
      expect.objectContaining({ kind: 'held', reason: 'evacuated', hold: 'actual_not_fresh' }),
    );
    host.die();
    await world.advance(36);
    expect(world.takeAsked()).toEqual(['start moved/0 (evacuated)']);
  });

  test('an outage of all ingestors raises it; a short restart does not', async () => {
    world = await cloud();
    await healthyApp(world, 'calm', 3);
    const host = world.dea('dea-3');
    host.die();
    await world.end('ingest');
    await world.advance(5);
    await world.run('ingest');
    await world.advance(31); // a heartbeat of it may have been lost with the one that went
    expect(world.takeAsked()).toEqual(['start calm/2 (missing)']);

    await world.end('ingest');
    await world.advance(60);
    await world.run('ingest');
    await world.beat();
    await world.advance(28);
    expect(world.takeAsked()).toEqual([]); // not even the start that did not help is asked for again
    await world.advance(10);
    expect(world.takeAsked()).toEqual(['start calm/2 (missing)']);
  });

  test('a stall raises it: nobody listened while time went by', async () => {
    world = await cloud();
    await healthyApp(world, 'stalled', 2);
    world.clock.advance(35_000);
    await world.turn();
    world.dea('dea-2').die();
    await world.advance(28);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(10);
    expect(world.takeAsked()).toEqual(['start stalled/1 (missing)']);
  });

  test('while an ingestor that stands still may have a heartbeat in hand, its host is not taken for dead', async () => {
    world = await cloud();
    const { client, keys } = world.store;
    await healthyApp(world, 'late', 3);
    // One of several, each of which NATS gives a share: what it was given since it stands still nobody knows.
    world.bus.subscribe(ingestorSubject('still'), {}, (message) => message.respond());
    const says = () => client.zadd(keys.ingestors, world.clock.nowMs(), 'still');
    await says();
    world.dea('dea-3').alive = false;
    for (let seconds = 0; seconds < 25; seconds += 5) {
      await world.advance(5);
      await says();
    }
    await world.advance(9);
    expect(world.takeAsked()).toEqual([]);
    world.dea('dea-3').alive = true;
    await world.beat();
    await says();
    await world.advance(30);
    expect(world.takeAsked()).toEqual([]);
  });

  test('a host that is cut off just after its heartbeat was lost is given the time from then on', async () => {
    world = await cloud();
    await healthyApp(world, 'late', 3);
    await world.advance(40);
    const host = world.dea('dea-3');
    await world.beat();
    await world.advance(6);
    await world.end('ingest');
    host.beat();
    host.alive = false;
    await world.run('ingest');
    await world.advance(29);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(8);
    expect(world.takeAsked()).toEqual(['start late/2 (missing)']);
  });

  test('when Redis has lost all its data nothing is hurt, and everything is known again', async () => {
    world = await cloud();
    await healthyApp(world, 'kept', 3);
    await world.advance(20);
    await world.loseRedisData();
    await world.turn();
    await world.advance(65);
    expect(world.takeAsked()).toEqual([]);
    await end(world, world.dea('dea-1').of('kept')[0], 'CRASHED');
    world.dea('dea-2').forget(world.dea('dea-2').of('kept')[0] as string);
    await world.advance(41);
    expect(world.takeAsked()).toEqual([
      'start kept/0 (crashed)',
      'start kept/0 (missing)',
      'start kept/1 (missing)',
    ]);
  });

  test('a crash or an evacuation is acted on all the same', async () => {
    world = await Deployment.start();
    const [first, second] = await healthyApp(world, 'acted', 2);
    await end(world, first, 'CRASHED');
    await end(world, second, 'DEA_SHUTDOWN');
    expect(world.takeAsked()).toEqual(['start acted/0 (crashed)', 'start acted/1 (evacuated)']);
  });
});

describe('desired_unavailable', () => {
  test('covers missing starts and all stops but duplicates, from desired_state_lost after the last pass on', async () => {
    world = await cloud({ policy: { giveupCrashNumber: 0 } });
    const guids = await healthyApp(world, 'known', 3);
    await healthyApp(world, 'others', 3);
    world.cc.faults.status = { code: 503 };
    await world.advance(120); // the last pass is not that old yet
    world.dea('dea-1').forget(guids[0] as string);
    await world.advance(41);
    expect(world.takeAsked('known')).toEqual(['start known/0 (missing)']);
    await world.advance(25);
    world.takeSent();

    world.dea('dea-1').run('known', 7); // surplus
    world.dea('dea-3').forget(guids[2] as string); // missing
    const copy = world.dea('dea-1').run('others', 1);
    world.dea('dea-1').run('foundling', 0);
    await world.advance(61);
    expect(new Set(world.takeAsked())).toEqual(new Set([`stop ${copy} of others (duplicate)`]));
    await end(world, copy, 'STOPPED');
    await end(world, guids[1], 'CRASHED');
    expect(world.takeAsked()).toEqual(['start known/1 (crashed)']);

    delete world.cc.faults.status;
    await world.advance(36);
    const asked = world.takeAsked('known');
    expect(asked).toContain('start known/0 (missing)');
    expect(asked).toContain('start known/2 (missing)');
  });

  test('before the first complete pass nothing is known to be surplus or missing', async () => {
    world = await Deployment.start({ processes: ['ingest', 'analyzer', 'nudger'] });
    world.dea('dea-1').run('early', 0);
    await world.advance(240);
    expect(world.takeAsked()).toEqual([]);
  });
});

describe('update_required', () => {
  test('missing starts and stops of that droplet wait for a pass that began after the update', async () => {
    world = await cloud();
    await healthyApp(world, 'asked', 2);
    await healthyApp(world, 'other', 2);
    world.cc.faults.status = { code: 500 };
    for (const app of ['asked', 'other']) world.dea('dea-1').run(app, 5);
    await world.desire('asked', { instances: 3 });
    await world.beat();
    expect(world.takeAsked()).toEqual([expect.stringMatching(/^stop .* of other \(extra_index\)/)]);
    await world.advance(40);
    expect(world.takeAsked('asked')).toEqual([]);
    delete world.cc.faults.status;
    await world.advance(31);
    const asked = world.takeAsked('asked');
    expect(asked).toContain('start asked/2 (missing)');
  });

  test('a crash waits for that pass, and is then decided by what it brought', async () => {
    world = await cloud();
    const [first] = await healthyApp(world, 'goes', 1);
    const [second] = await healthyApp(world, 'stays', 1);
    const [third] = await healthyApp(world, 'left', 1);
    await world.rest.hold('sync');
    world.cc.put('goes', { state: 'STOPPED' });
    for (const droplet of ['goes', 'stays', 'left']) world.publish(SUBJECTS.updated, { droplet });
    await end(world, first, 'CRASHED');
    await end(world, second, 'CRASHED');
    await end(world, third, 'DEA_EVACUATION');
    await world.advance(3);
    expect(world.takeAsked()).toEqual([]);
    await world.rest.release('sync');
    await world.settle();
    await world.advance(2);
    expect(world.takeAsked()).toEqual(['start left/0 (evacuated)', 'start stays/0 (crashed)']);
  });

  test('an update asks for a pass at once, many together for one, and one during a pass for exactly one more', async () => {
    world = await cloud();
    await world.rest.hold('sync');
    for (let n = 0; n < 20; n++) world.publish(SUBJECTS.updated, { droplet: `app-${n}` });
    await world.settle();
    let before = world.cc.pageRequests;
    world.clock.advance(1);
    await world.rest.release('sync');
    await world.settle();
    expect(world.cc.pageRequests - before).toBe(1); // no apps: the first page is the last

    before = world.cc.pageRequests;
    let during = true;
    world.cc.beforePage = async () => {
      if (!during) return;
      during = false;
      world.clock.advance(1);
      for (let n = 0; n < 20; n++) world.publish(SUBJECTS.updated, { droplet: `late-${n}` });
      // What NATS has taken may still be on its way to ingest.
      const { client, keys } = world.store;
      await expect
        .poll(() => client.hget(keys.droplet('late-19'), FIELD.updated), { timeout: 10_000 })
        .not.toBeNull();
      await world.running.find(({ name }) => name === 'ingest')?.ingest?.idle();
      world.clock.advance(1);
    };
    await world.updated('app-1');
    expect(world.cc.pageRequests - before).toBe(2);
  });
});

describe('mass_loss', () => {
  /** Six hosts, each with one instance of an app of six; four of them are cut off and heard no more. */
  async function cutOff(policy = {}): Promise<void> {
    world = await cloud({ deas: 6, policy });
    await world.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) world.dea(`dea-${index + 1}`).run('wide', index);
    await world.advance(40);
    for (const n of [1, 2, 3, 4]) world.dea(`dea-${n}`).alive = false;
    await world.advance(90);
    expect(world.takeAsked()).toEqual([]);
    expect(world.logged('hold_on')).toContainEqual(expect.objectContaining({ hold: 'mass_loss', deas: 4 }));
  }

  test('so many hosts silent at once are not started elsewhere, and are believed when they are back', async () => {
    await cutOff();
    await end(world, world.dea('dea-5').of('wide')[0], 'CRASHED');
    expect(world.takeAsked()).toEqual(['start wide/4 (crashed)']);
    world.dea('dea-6').forget(world.dea('dea-6').of('wide')[0] as string);
    await world.advance(41);
    // What is missing on a host that is heard is started.
    expect(world.takeAsked()).toEqual(expect.arrayContaining(['start wide/5 (missing)']));
    for (const dea of world.deas.values()) dea.alive = true;
    await world.advance(21);
    expect(world.takeAsked().filter((asked) => !/wide.[45]/.test(asked))).toEqual([]);
    expect(world.logged('hold_off')).toContainEqual(expect.objectContaining({ hold: 'mass_loss' }));
    world.dea('dea-1').die(); // one dead host is a dead host again
    await world.advance(41);
    expect(world.takeAsked()).toContain('start wide/0 (missing)');
  });

  test('it is raised in time also when a heartbeat was missed just before, because nobody listened', async () => {
    world = await cloud({ deas: 6 });
    await world.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) world.dea(`dea-${index + 1}`).run('wide', index);
    await world.advance(40);
    const others = [...world.deas.values()].slice(1);
    const beat = () => {
      for (const dea of others) dea.beat();
    };
    await world.advance(6);
    beat();
    await world.advance(3);
    await world.end('ingest');
    await world.advance(1.5); // the first one's heartbeat is lost, and the next one will be
    await world.run('ingest');
    await world.advance(5);
    beat();
    await world.turn();
    for (const dea of world.deas.values()) dea.alive = false;
    await world.advance(90);
    expect(world.logged('hold_on')).toContainEqual(expect.objectContaining({ hold: 'mass_loss' }));
    expect(world.takeAsked()).toEqual([]);
  });

  test('while no tick comes nobody takes what is silent for missing, at whatever it is looked', async () => {
    world = await cloud({ deas: 6 });
    await world.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) world.dea(`dea-${index + 1}`).run('wide', index);
    await world.advance(40);
    world.isTicking = false;
    for (const n of [1, 2, 3, 4]) world.dea(`dea-${n}`).alive = false;
    await world.advance(35);
    await end(world, world.dea('dea-5').of('wide')[0], 'CRASHED');
    expect(world.takeAsked()).toEqual(['start wide/4 (crashed)']);
    expect((await world.decisions('wide')).filter(({ kind }) => kind === 'held')).toHaveLength(4);
    world.isTicking = true;
    await world.advance(30);
    expect(world.takeAsked()).toEqual([]);
    expect(world.logged('hold_on')).toContainEqual(expect.objectContaining({ hold: 'mass_loss', deas: 4 }));
  });

  test('an operator releases it', async () => {
    await cutOff();
    for (const n of [1, 2, 3, 4]) world.dea(`dea-${n}`).die();
    await world.store.client.hset(world.store.keys.holds, 'release_mass_loss', '1');
    await world.advance(10);
    expect(world.takeAsked()).toEqual([0, 1, 2, 3].map((index) => `start wide/${index} (missing)`));
  });

  test('it ends after its time', async () => {
    await cutOff({ massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 120_000 } });
    for (const n of [1, 2, 3, 4]) world.dea(`dea-${n}`).die();
    await world.advance(30);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(30);
    expect(world.takeAsked()).toEqual([0, 1, 2, 3].map((index) => `start wide/${index} (missing)`));
  });

  test('hosts that said that they leave, or whose instances all exited, or that run nothing, do not raise it', async () => {
    world = await cloud({ deas: 8 });
    await world.desire('wide', { instances: 8 });
    const guids = [1, 2, 3, 4, 5].map((n) => world.dea(`dea-${n}`).run('wide', n - 1));
    for (const n of [6, 7, 8]) world.dea(`dea-${n}`).run('wide', n - 1);
    await world.advance(10);
    world.takeSent();
    world.dea('dea-1').sayShutdown();
    world.dea('dea-2').sayShutdown();
    world.dea('dea-3').end(guids[2] as string, 'STOPPED');
    world.dea('dea-4').end(guids[3] as string, 'STOPPED');
    for (const n of [1, 2, 3, 4]) world.dea(`dea-${n}`).die();
    world.dea('dea-5').die();
    await world.advance(45);
    expect(world.logged('hold_on')).toEqual([]);
    expect(world.takeAsked()).toEqual([0, 1, 2, 3, 4].map((index) => `start wide/${index} (missing)`));
  });
});

describe('mass_delete', () => {
  test('half of all apps gone at once are not stopped, until an operator says that it is right', async () => {
    world = await cloud();
    for (let n = 0; n < 20; n++) await world.desire(`app-${n}`, {}, { quietly: true });
    const guids = Array.from({ length: 20 }, (_, n) => world.dea(`dea-${(n % 3) + 1}`).run(`app-${n}`, 0));
    await world.advance(65);
    expect(world.takeAsked()).toEqual([]);
    for (let n = 0; n < 15; n++) await world.undesire(`app-${n}`, { quietly: true });
    await world.advance(300);
    expect(world.takeAsked()).toEqual([]);
    await end(world, guids[0], 'CRASHED'); // acted on under every hold, with the desired state last known
    expect(world.takeFaults().join()).toContain('app-0'); // the controller knows better
    expect(world.takeAsked()).toEqual(['start app-0/0 (crashed)']);
    await world.store.client.hset(world.store.keys.holds, 'release_mass_delete', '1');
    await world.advance(65);
    const stopped = world.takeSent().filter(({ reason }) => reason === 'extra_app');
    expect(new Set(stopped.map(({ instance }) => instance))).toEqual(new Set(guids.slice(1, 15)));
  });
});
