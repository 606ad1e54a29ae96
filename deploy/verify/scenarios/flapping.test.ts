import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
/** As configured by default, but for the noise, so that times are exact, and the bulk syncs. */
beforeAll(async () => {
  deployment = await startCloud({ policy: { delayTimeNoiseMs: 0 }, settings: { syncPeriodMs: 25_000 } });
});
afterAll(() => deployment.stop());

/** A new instance of the index comes up and crashes. @returns when (s) */
async function crash(droplet: string, index = 0): Promise<number> {
  const guid = deployment.dea('dea-1').run(droplet, index);
  await deployment.heartbeat();
  const crashedMs = deployment.clock.nowMs();
  await endInstance(deployment, guid, 'CRASHED');
  return (crashedMs - deployment.startedMs) / 1000;
}

const restarts = () => deployment.quiescence.queue('restarts').getDelayedCount();

describe('an app that crashes again and again', () => {
  test('is restarted at once, after 60 s, after 120 s, after 240 s, and then given up', async () => {
    await deployment.desire('doomed', {});
    await crash('doomed');
    expect(deployment.takeSentMessages('doomed')).toMatchObject([
      { reason: 'crashed', message: { flapping: false } },
    ]);
    for (const delay of [60, 120, 240]) {
      const at = await crash('doomed');
      expect(deployment.takeSent('doomed')).toEqual([]);
      await deployment.advance(delay - 1);
      expect(deployment.takeSent('doomed')).toEqual([]); // neither flapping nor missing: it is pending
      await deployment.advance(2);
      const sent = deployment.takeSentMessages('doomed');
      expect(sent).toMatchObject([
        { reason: 'flapping', index: 0, message: { flapping: true, running: {} } },
      ]);
      expect((sent[0]?.at as number) - at).toBeGreaterThanOrEqual(delay);
    }
    const at = await crash('doomed');
    expect(await deployment.decisions('doomed')).toContainEqual(
      expect.objectContaining({ kind: 'giveup', crashes: 5 }),
    );
    deployment.dea('dea-1').end(deployment.dea('dea-1').run('doomed', 0), 'DEA_SHUTDOWN');
    await deployment.advance(499 - (deployment.clock.nowMs() - deployment.startedMs) / 1000 + at);
    expect(deployment.takeSent('doomed')).toEqual([]); // no start of any reason
    await deployment.advance(3);
    expect(deployment.takeSent('doomed')).toEqual(['start doomed/0 (missing)']);
  });

  test('is not given up for ever: an update, or a new version, begins anew', async () => {
    await deployment.desire('forgiven', {});
    for (let n = 0; n < 5; n++) await crash('forgiven');
    deployment.takeSentMessages('forgiven');
    await deployment.advance(35);
    expect(deployment.takeSent('forgiven')).toEqual([]);
    await deployment.announceUpdate('forgiven');
    await deployment.advance(31);
    expect(deployment.takeSent('forgiven')).toEqual(['start forgiven/0 (missing)']);
    await crash('forgiven');
    expect(deployment.takeSent('forgiven')).toEqual(['start forgiven/0 (crashed)']); // the first of a new count
    for (let n = 0; n < 5; n++) await crash('forgiven');
    deployment.takeSentMessages('forgiven');
    await deployment.desire('forgiven', { version: 'v2' }, { announce: false });
    await deployment.advance(65);
    expect(deployment.takeSent('forgiven')).toContain('start forgiven/0 (missing)');
  });

  test('counts each instance once, however often its exit is told', async () => {
    const [first] = await healthyApp(deployment, 'told', 1);
    const told = { droplet: 'told', version: 'told-v1', guid: first as string, index: 0 };
    await endInstance(deployment, first, 'CRASHED');
    for (let n = 0; n < 5; n++) deployment.dea('dea-1').sendExited(told, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('told')).toEqual(['start told/0 (crashed)']);
    expect(await restarts()).toBe(0);
  });

  test('counts each index for itself', async () => {
    await deployment.desire('indices', { instances: 2 });
    deployment.takeSentMessages('indices');
    await crash('indices', 0);
    await crash('indices', 1);
    expect(deployment.takeSent('indices')).toEqual([
      'start indices/0 (crashed)',
      'start indices/1 (crashed)',
    ]);
  });

  test('counts on though an instance ran for a while, and from one again after flapping_timeout', async () => {
    await deployment.desire('rare', {});
    await crash('rare');
    deployment.dea('dea-2').run('rare', 0);
    await deployment.advance(60);
    deployment.takeSentMessages('rare');
    await endInstance(deployment, deployment.dea('dea-2').guidsOf('rare')[0], 'CRASHED');
    expect(deployment.takeSent('rare')).toEqual([]);
    expect(await restarts()).toBe(1);
    const guid = deployment.dea('dea-2').run('rare', 0);
    await deployment.heartbeat();
    expect(await restarts()).toBe(0); // it came up by itself: nothing is pending any more
    const later = Math.floor(deployment.clock.nowMs() / 1000) + 501;
    deployment.dea('dea-2').end(guid, 'CRASHED', { crashTimestampS: later });
    await deployment.settle();
    expect(deployment.takeSent('rare')).toEqual(['start rare/0 (crashed)']);
  });
});

describe('a pending restart', () => {
  /** Crashed twice just now: a restart is due in 60 s. */
  async function pending(droplet: string): Promise<void> {
    await deployment.desire(droplet, { instances: 2 });
    deployment.dea('dea-2').run(droplet, 0);
    await crash(droplet, 1);
    await crash(droplet, 1);
    expect(deployment.takeSent(droplet)).toEqual([`start ${droplet}/1 (crashed)`]);
    expect(await restarts()).toBe(1);
  }

  test('is a delayed job, due when the delay is over', async () => {
    await pending('delayed');
    const [job] = await deployment.quiescence.queue('restarts').getDelayed();
    expect(job?.delay).toBe(60_000);
    expect(job?.data).toMatchObject({ droplet: 'delayed', index: 1, reason: 'flapping' });
    await deployment.desire('delayed', { state: 'STOPPED' });
  });

  test.each([
    ['scaled down', { instances: 1 }],
    ['stopped', { state: 'STOPPED' }],
    ['pushed', { version: 'v2' }],
  ])('is dropped when the app is %s, even if nobody says that it was updated', async (how, app) => {
    await pending(how);
    await deployment.desire(how, app, { announce: false });
    await deployment.advance(60);
    expect(await restarts()).toBe(0);
    await deployment.advance(10);
    expect(deployment.takeSentMessages(how).filter(({ reason }) => reason === 'flapping')).toEqual([]);
    await deployment.deleteApp(how);
    for (const dea of deployment.deas.values()) for (const guid of dea.guidsOf(how)) dea.forget(guid);
    deployment.takeSentMessages(how);
  });

  test('is dropped at an update, and the slot is then missing after its time', async () => {
    await pending('updated');
    await deployment.announceUpdate('updated');
    expect(await restarts()).toBe(0);
    await deployment.advance(29);
    expect(deployment.takeSent('updated')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('updated')).toEqual(['start updated/1 (missing)']);
  });

  test('survives the restart of every process, and so does the count', async () => {
    await pending('durable');
    await deployment.processes.restart();
    await deployment.advance(55);
    expect(deployment.takeSent('durable')).toEqual([]);
    await deployment.processes.stop();
    deployment.clock.advance(1000);
    await deployment.processes.start('ingest', 'analyzer', 'nudger', 'sync');
    await deployment.advance(6);
    expect(deployment.takeSent('durable')).toEqual(['start durable/1 (flapping)']);
    await crash('durable', 1);
    const [job] = await deployment.quiescence.queue('restarts').getDelayed();
    expect(job?.delay).toBe(120_000);
    await deployment.desire('durable', { state: 'STOPPED' });
  });
});
