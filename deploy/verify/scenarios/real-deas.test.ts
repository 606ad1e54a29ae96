/**
 * What the controllers and DEAs of Cloud Foundry did between 2012 and 2017 besides the plain cases, told as the messages that
 * they sent.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import type { ScriptedDea } from './scripted-dea.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud({ deas: 4 });
});
afterAll(() => deployment.stop());

const deas = () => [...deployment.deas.values()];

/** A bulk pass, for which another app is the reason. */
async function pass(): Promise<void> {
  await deployment.announceUpdate('another app');
}

/** Each DEA gives its instances of the app a new version and a new guid, in place; it sends no exit. */
function rename(droplet: string, version: string, on: readonly ScriptedDea[] = deas()): void {
  for (const dea of on) {
    for (const guid of dea.guidsOf(droplet)) {
      const { index, state } = dea.instances.get(guid) ?? { index: -1, state: '' };
      dea.forget(guid);
      dea.run(droplet, index, version, state);
    }
  }
}

describe('a mapped route gives an app a new version, and the controller sends no droplet.updated', () => {
  /** An app with six instances whose grace period is over; the next heartbeats are seconds away. */
  async function mappedApp(droplet: string): Promise<void> {
    await healthyApp(deployment, droplet, 6);
    await deployment.advance(40);
    await deployment.desire(droplet, { version: 'v2' }, { announce: false });
    deployment.takeSent(droplet);
  }

  test('a pass brings it before the heartbeats: nothing is started or stopped', async () => {
    await mappedApp('pass first');
    await pass();
    await deployment.advance(5);
    expect(deployment.takeSent('pass first')).toEqual([]);
    const [first, ...others] = deas() as [ScriptedDea, ...ScriptedDea[]];
    rename('pass first', 'v2', [first]);
    await deployment.heartbeat(first);
    expect(deployment.takeSent('pass first')).toEqual([]);
    rename('pass first', 'v2', others);
    await deployment.advance(70);
    expect(deployment.takeSent('pass first')).toEqual([]);
  });

  test('the heartbeats list it before a pass: nothing is started or stopped, and a pass comes at once', async () => {
    await mappedApp('heartbeat first');
    const [first, ...others] = deas() as [ScriptedDea, ...ScriptedDea[]];
    rename('heartbeat first', 'v2', [first]);
    const before = Number(await deployment.observer.client.hget(deployment.observer.keys.syncState, 'begun'));
    await deployment.heartbeat(first);
    const after = Number(await deployment.observer.client.hget(deployment.observer.keys.syncState, 'begun'));
    expect(after).toBeGreaterThan(before);
    expect(after).toBe(deployment.clock.nowMs());
    rename('heartbeat first', 'v2', others);
    await deployment.advance(70);
    expect(deployment.takeSent('heartbeat first')).toEqual([]);
  });

  test('what runs nowhere is started after the heartbeats, and at the latest after droplet_lost', async () => {
    await mappedApp('partly lost');
    const [first, second] = deas() as [ScriptedDea, ScriptedDea];
    const gone = first.guidsOf('partly lost')[0] as string;
    const { index } = first.instances.get(gone) ?? {};
    first.forget(gone);
    await pass();
    rename('partly lost', 'v2');
    for (const dea of deas()) if (dea !== second) await deployment.heartbeat(dea);
    expect(deployment.takeSent('partly lost')).toEqual([]);
    await deployment.heartbeat(second);
    await deployment.advance(5);
    expect(deployment.takeSent('partly lost')).toEqual([`start partly lost/${index} (missing)`]);
  });
});

describe('DEAs from 2014 send no exit for an instance that the controller stops', () => {
  test('an app whose stop empties three of four DEAs raises no mass_loss, and nothing that is gone is stopped', async () => {
    const guids = await healthyApp(deployment, 'stopped silently', 3);
    const lasting = deployment.dea('dea-4');
    await deployment.desire('lasting', {});
    lasting.run('lasting', 0);
    await deployment.heartbeat();
    // The other apps of this file end, too.
    for (const dea of deas())
      for (const guid of [...dea.listed.keys()]) if (dea !== lasting) dea.forget(guid);
    for (const droplet of ['pass first', 'heartbeat first', 'partly lost'])
      await deployment.deleteApp(droplet);
    await deployment.heartbeat();
    await deployment.desire('stopped silently', { state: 'STOPPED' });
    expect(deployment.takeSent('stopped silently')).toEqual([]);
    expect(guids).toHaveLength(3);
    for (const dea of deas()) if (dea !== lasting) dea.connected = false; // an empty DEA is silent
    await deployment.advance(90);
    expect(deployment.logged('hold_on').filter(({ hold }) => hold === 'mass_loss')).toEqual([]);
    const crash = lasting.guidsOf('lasting')[0] as string;
    await endInstance(deployment, crash, 'CRASHED');
    expect(deployment.takeSent('lasting')).toEqual(['start lasting/0 (crashed)']);
    await deployment.deleteApp('lasting');
    for (const dea of deas()) dea.connected = true;
    await deployment.advance(11);
  });
});

describe('DEAs until 2013 send a heartbeat with only the new instance when it comes up', () => {
  /** Sends a heartbeat that lists one instance; the next one lists all again. */
  function sendSingle(dea: ScriptedDea, only: string): void {
    const others = [...dea.listed.keys()].filter((guid) => guid !== only);
    for (const guid of others) dea.forget(guid);
    dea.sendHeartbeat();
    for (const guid of others) dea.resume(guid);
  }

  test('then all are cut off: nothing is started while mass_loss is on', async () => {
    const apps = Array.from({ length: 6 }, (_, n) => `many ${n}`);
    for (const app of apps) await healthyApp(deployment, app, 3);
    await deployment.advance(40);
    for (const dea of deas()) {
      const app = `new on ${dea.id}`;
      await deployment.desire(app, {});
      dea.run(app, 0);
    }
    await deployment.heartbeat();
    await deployment.advance(5);
    for (const dea of deas()) sendSingle(dea, dea.guidsOf(`new on ${dea.id}`)[0] as string);
    await deployment.settle();
    for (const dea of deas()) dea.connected = false;
    deployment.takeSent();
    await deployment.advance(120);
    expect(deployment.takeSent().filter((text) => text.startsWith('start'))).toEqual([]);
    for (const dea of deas()) dea.connected = true;
    await deployment.heartbeat();
    await deployment.advance(60);
    expect(deployment.takeSent()).toEqual([]);
  });
});

describe('a crash before a pass first lists the app', () => {
  test('counts: the next one makes the slot flapping', async () => {
    const dea = deployment.dea('dea-1');
    const crash = (guid: string) =>
      dea.sendExited({ guid, droplet: 'early', version: 'early-v1', index: 0 }, 'CRASHED');
    crash('never listed 1');
    await deployment.settle();
    await deployment.desire('early', {}, { announce: false });
    await pass();
    expect(deployment.takeSent('early')).toEqual(['start early/0 (crashed)']);
    await deployment.advance(1);
    crash('never listed 2');
    await deployment.settle();
    expect(deployment.takeSent('early')).toEqual([]);
    const restarts = deployment.quiescence.queue('restarts');
    expect(await restarts.getDelayedCount()).toBe(1);
  });

  test('counts also if the crashes come at once', async () => {
    const dea = deployment.dea('dea-2');
    for (const guid of ['a', 'b'])
      dea.sendExited({ guid, droplet: 'twice', version: 'twice-v1', index: 0 }, 'CRASHED');
    await deployment.settle();
    await deployment.desire('twice', {}, { announce: false });
    await pass();
    expect(deployment.takeSent('twice')).toEqual([]);
    expect(await deployment.quiescence.queue('restarts').getDelayedCount()).toBe(2);
  });
});
