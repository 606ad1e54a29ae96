import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { isHm2 } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
/** The defaults, but without noise, so that times are exact, and with more frequent syncs. */
beforeAll(async () => {
  deployment = await startCloud({ policy: { delayTimeNoiseMs: 0 }, settings: { syncPeriodMs: 25_000 } });
});
afterAll(() => deployment.stop());

/**
 * A new instance of the index starts and crashes.
 *
 * @returns when it crashed (s)
 */
async function crash(droplet: string, index = 0): Promise<number> {
  const guid = deployment.dea('dea-1').run(droplet, index);
  await deployment.heartbeat();
  const crashedMs = deployment.clock.nowMs();
  await endInstance(deployment, guid, 'CRASHED');
  return (crashedMs - deployment.startedMs) / 1000;
}

const restarts = () => deployment.quiescence.queue('restarts').getDelayedCount();

describe('an app that crashes repeatedly', () => {
  test('is restarted at once, then after 60, 120 and 240 s, and then given up', async () => {
    await deployment.desire('doomed', {});
    await crash('doomed');
    expect(deployment.takeSentMessages('doomed')).toMatchObject([
      { reason: 'crashed', message: isHm2 ? { flapping: false } : {} },
    ]);
    for (const delay of [60, 120, 240]) {
      const at = await crash('doomed');
      expect(deployment.takeSent('doomed')).toEqual([]);
      await deployment.advance(delay - 1);
      expect(deployment.takeSent('doomed')).toEqual([]); // neither flapping nor missing: the restart is pending
      await deployment.advance(2);
      const sent = deployment.takeSentMessages('doomed');
      expect(sent).toMatchObject([
        { reason: 'flapping', index: 0, message: isHm2 ? { flapping: true, running: {} } : {} },
      ]);
      expect((sent[0]?.at as number) - at).toBeGreaterThanOrEqual(delay);
    }
    const at = await crash('doomed');
    expect(await deployment.decisions('doomed')).toContainEqual(
      expect.objectContaining({ kind: 'giveup', crashes: 5 }),
    );
    deployment.dea('dea-1').end(deployment.dea('dea-1').run('doomed', 0), 'DEA_SHUTDOWN');
    await deployment.advance(499 - (deployment.clock.nowMs() - deployment.startedMs) / 1000 + at);
    expect(deployment.takeSent('doomed')).toEqual([]); // no start for any reason
    await deployment.advance(3);
    expect(deployment.takeSent('doomed')).toEqual(['start doomed/0 (missing)']);
  });

  test('is started again after an update or with a new version, though it was given up', async () => {
    await deployment.desire('forgiven', {});
    for (let n = 0; n < 5; n++) await crash('forgiven');
    deployment.takeSentMessages('forgiven');
    await deployment.advance(35);
    expect(deployment.takeSent('forgiven')).toEqual([]);
    await deployment.announceUpdate('forgiven');
    await deployment.advance(31);
    expect(deployment.takeSent('forgiven')).toEqual(['start forgiven/0 (missing)']);
    await crash('forgiven');
    expect(deployment.takeSent('forgiven')).toEqual(['start forgiven/0 (crashed)']); // the first crash of a new count
    for (let n = 0; n < 5; n++) await crash('forgiven');
    deployment.takeSentMessages('forgiven');
    await deployment.desire('forgiven', { version: 'v2' }, { announce: false });
    await deployment.advance(65);
    expect(deployment.takeSent('forgiven')).toContain('start forgiven/0 (missing)');
  });

  test('is charged one crash for each instance, however often the exit is sent', async () => {
    const [first] = await healthyApp(deployment, 'repeated', 1);
    const exited = { droplet: 'repeated', version: 'repeated-v1', guid: first as string, index: 0 };
    await endInstance(deployment, first, 'CRASHED');
    for (let n = 0; n < 5; n++) deployment.dea('dea-1').sendExited(exited, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('repeated')).toEqual(['start repeated/0 (crashed)']);
    expect(await restarts()).toBe(0);
  });

  test('has a crash count for each index', async () => {
    await deployment.desire('indices', { instances: 2 });
    deployment.takeSentMessages('indices');
    await crash('indices', 0);
    await crash('indices', 1);
    expect(deployment.takeSent('indices')).toEqual([
      'start indices/0 (crashed)',
      'start indices/1 (crashed)',
    ]);
  });

  test('keeps its count though an instance ran for a while, and loses it after flapping_timeout', async () => {
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
    expect(await restarts()).toBe(0); // the instance started without a request, so no restart is pending
    await deployment.advance(501);
    deployment.takeSentMessages('rare');
    deployment.dea('dea-2').end(guid, 'CRASHED');
    await deployment.settle();
    expect(deployment.takeSent('rare')).toEqual(['start rare/0 (crashed)']);
  });
});

describe('a pending restart', () => {
  /** Two crashes just now, so that a restart is due in 60 s. */
  async function crashTwice(droplet: string): Promise<void> {
    await deployment.desire(droplet, { instances: 2 });
    deployment.dea('dea-2').run(droplet, 0);
    await crash(droplet, 1);
    await crash(droplet, 1);
    expect(deployment.takeSent(droplet)).toEqual([`start ${droplet}/1 (crashed)`]);
    expect(await restarts()).toBe(1);
  }

  test('is a delayed job with the restart delay', async () => {
    await crashTwice('delayed');
    const [job] = await deployment.quiescence.queue('restarts').getDelayed();
    expect(job?.delay).toBe(60_000);
    expect(job?.data).toMatchObject({ droplet: 'delayed', index: 1, reason: 'flapping' });
    await deployment.desire('delayed', { state: 'STOPPED' });
  });

  test.each([
    ['scaled down', { instances: 1 }],
    ['stopped', { state: 'STOPPED' }],
    ['pushed', { version: 'v2' }],
  ])('is dropped when the app is %s, even without droplet.updated', async (how, app) => {
    await crashTwice(how);
    await deployment.desire(how, app, { announce: false });
    await deployment.advance(60);
    expect(await restarts()).toBe(0);
    await deployment.advance(10);
    expect(deployment.takeSentMessages(how).filter(({ reason }) => reason === 'flapping')).toEqual([]);
    await deployment.deleteApp(how);
    for (const dea of deployment.deas.values()) for (const guid of dea.guidsOf(how)) dea.forget(guid);
    deployment.takeSentMessages(how);
  });

  test('is dropped at an update, and the slot is missing after the grace period', async () => {
    await crashTwice('updated');
    await deployment.announceUpdate('updated');
    expect(await restarts()).toBe(0);
    await deployment.advance(29);
    expect(deployment.takeSent('updated')).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent('updated')).toEqual(['start updated/1 (missing)']);
  });

  test('survives a restart of every process, and so does the crash count', async () => {
    await crashTwice('durable');
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
