import { afterEach, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

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

  // The cron goes on ticking once a second of real time, so on a busy machine a tick may fall into the time without any.
  test('without a tick nothing on a silent DEA is missing, whatever causes a reconcile', {
    retry: 3,
  }, async () => {
    deployment = await startCloud({ deas: 6 });
    await deployment.desire('wide', { instances: 6 });
    for (let index = 0; index < 6; index++) deployment.dea(`dea-${index + 1}`).run('wide', index);
    await deployment.advance(40);
    deployment.time.isTicking = false;
    for (const n of [1, 2, 3, 4]) deployment.dea(`dea-${n}`).connected = false;
    await deployment.advance(35);
    await endInstance(deployment, deployment.dea('dea-5').guidsOf('wide')[0], 'CRASHED');
    expect(deployment.takeSent()).toEqual(['start wide/4 (crashed)']);
    expect((await deployment.decisions('wide')).filter(({ kind }) => kind === 'held')).toEqual([]);
    deployment.time.isTicking = true;
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
