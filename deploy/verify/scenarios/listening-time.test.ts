import { afterEach, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

const HOLD_S = 60;
const MASS_LOSS = { massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: HOLD_S * 1000 } };

/** `count` DEAs, each with one instance of the app `wide`. */
async function wideApp(count: number): Promise<void> {
  deployment = await startCloud({ deas: count, policy: MASS_LOSS });
  await deployment.desire('wide', { instances: count });
  for (let index = 0; index < count; index++) deployment.dea(`dea-${index + 1}`).run('wide', index);
  await deployment.advance(20);
  expect(deployment.takeSent()).toEqual([]);
}

/** NATS is away, and no DEA has reconnected when it comes back. */
async function outage(seconds: number): Promise<void> {
  await deployment.killNats();
  await deployment.advance(seconds);
  for (const dea of deployment.deas.values()) dea.connected = false;
  await deployment.restartNats();
  await deployment.tick();
}

const massLossChanges = (event: 'hold_on' | 'hold_off') =>
  deployment.logged(event).filter(({ hold }) => hold === 'mass_loss');

describe('after NATS was away for longer than the hold time of mass_loss', () => {
  test.each([0, 32])(
    'nothing is started for DEAs that come back one by one over eight seconds, %s s after it',
    async (afterS) => {
      await wideApp(12);
      await outage(HOLD_S + 60);
      expect(massLossChanges('hold_on')).toEqual([]);
      await deployment.advance(afterS);
      expect(massLossChanges('hold_on')).toHaveLength(afterS === 0 ? 0 : 1);
      for (const dea of deployment.deas.values()) {
        dea.connected = true;
        await deployment.heartbeat(dea);
        await deployment.advance(0.7);
      }
      await deployment.advance(60);
      expect(deployment.takeSent()).toEqual([]);
      expect(massLossChanges('hold_off')).toHaveLength(afterS === 0 ? 0 : 1);
    },
  );

  test('DEAs that stay silent are held together, and replaced after the hold time', async () => {
    await wideApp(6);
    await outage(HOLD_S + 60);
    for (const n of [1, 2]) deployment.dea(`dea-${n}`).connected = true;
    for (const n of [3, 4, 5, 6]) deployment.dea(`dea-${n}`).die();
    await deployment.advance(75);
    expect(massLossChanges('hold_on')).toMatchObject([{ deas: 4 }]);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(15);
    expect(deployment.takeSent()).toEqual([2, 3, 4, 5].map((index) => `start wide/${index} (missing)`));
  });

  test('a single DEA that stays silent is replaced droplet_lost after it', async () => {
    await wideApp(6);
    await outage(HOLD_S + 60);
    for (const dea of deployment.deas.values()) dea.connected = true;
    deployment.dea('dea-4').die();
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(12);
    expect(deployment.takeSent()).toEqual(['start wide/3 (missing)']);
  });
});

test('no DEA expires, and no instance is forgotten, while no ingestor listens', async () => {
  await wideApp(3);
  await outage(330);
  for (const dea of deployment.deas.values()) dea.connected = true;
  await deployment.advance(40);
  expect(deployment.logged('dea_expired')).toEqual([]);
  expect(deployment.logged('dea_lost')).toEqual([]);
  expect(deployment.takeSent()).toEqual([]);
});

describe('mass_loss counts', () => {
  test('what single-instance heartbeats leave out just before their DEAs fall silent', async () => {
    deployment = await startCloud({ deas: 6 });
    await deployment.desire('wide', { instances: 12 });
    const guids = Array.from({ length: 12 }, (_, index) =>
      deployment.dea(`dea-${(index % 6) + 1}`).run('wide', index),
    );
    await deployment.advance(30);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.heartbeat();
    await deployment.advance(4);
    // Each DEA lists a single instance, and is cut off before it lists all of them again.
    for (const guid of guids.slice(0, 6)) for (const dea of deployment.deas.values()) dea.forget(guid);
    await deployment.heartbeat();
    for (const dea of deployment.deas.values()) dea.connected = false;
    for (const guid of guids.slice(0, 6)) for (const dea of deployment.deas.values()) dea.resume(guid);
    await deployment.advance(90);
    expect(massLossChanges('hold_on')).toMatchObject([{ deas: 6 }]);
    expect(deployment.takeSent()).toEqual([]);
    for (const dea of deployment.deas.values()) dea.connected = true;
    await deployment.advance(60);
    expect(deployment.takeSent()).toEqual([]);
  });

  test.each(['send an empty list', 'send nothing more'])(
    'no DEAs that a STOPPED app has emptied without exits and that %s',
    async (what) => {
      deployment = await startCloud({ deas: 4 });
      await deployment.desire('stays', {});
      deployment.dea('dea-4').run('stays', 0);
      await deployment.desire('emptied', { instances: 3 });
      const guids = [1, 2, 3].map((n) => deployment.dea(`dea-${n}`).run('emptied', n - 1));
      await deployment.advance(20);
      await deployment.desire('emptied', { state: 'STOPPED' });
      expect(deployment.takeSent()).toHaveLength(3);
      for (const [n, guid] of guids.entries()) deployment.dea(`dea-${n + 1}`).forget(guid);
      if (what === 'send an empty list') await deployment.heartbeat();
      for (const n of [1, 2, 3]) deployment.dea(`dea-${n}`).connected = false;
      await deployment.advance(45);
      expect(massLossChanges('hold_on')).toEqual([]);
      deployment.takeSentMessages();
    },
  );

  test('no DEAs that list only instances which nobody wants', async () => {
    await wideApp(6);
    for (let n = 1; n <= 20; n++) deployment.dea(`made-up-${n}`).run(`made-up-${n}`, 0);
    await deployment.advance(20);
    // They do not raise it ...
    for (let n = 1; n <= 10; n++) deployment.dea(`made-up-${n}`).connected = false;
    await deployment.advance(40);
    expect(massLossChanges('hold_on')).toEqual([]);
    // ... and do not prevent it.
    for (let n = 1; n <= 4; n++) deployment.dea(`dea-${n}`).connected = false;
    await deployment.advance(40);
    expect(massLossChanges('hold_on')).toMatchObject([{ deas: 4 }]);
    expect(deployment.takeSent()).toEqual([]);
  });
});

test('the loss of a single DEA never shows as the hold mass_loss', async () => {
  await wideApp(6);
  deployment.time.isTicking = false; // so that the loss is reconciled before mass_loss is evaluated
  deployment.dea('dea-2').die();
  await deployment.advance(42);
  deployment.time.isTicking = true;
  await deployment.advance(30);
  expect(deployment.takeSent()).toEqual(['start wide/1 (missing)']);
  expect((await deployment.decisions('wide')).filter(({ hold }) => hold === 'mass_loss')).toEqual([]);
});
