import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { isHm2 } from './dialect-under-test.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud();
});
afterAll(() => deployment.stop());

describe.runIf(isHm2)('the message health.stop', () => {
  test('of a desired app has the payload of the contract, and headers with the decision and its reason', async () => {
    const app = { updated_at: '2014-04-20 21:20:00 +0800', version: 'v-9' };
    const [, second] = await healthyApp(deployment, 'shown', 2, app);
    await deployment.desire('shown', { instances: 1 });
    const [sent] = deployment.takeSentMessages('shown');
    expect(sent?.text).toBe(
      `{"droplet":"shown","last_updated":1398000000,"instances":{"${second}":"v-9"},"running":{"v-9":2},"version":"v-9"}`,
    );
    expect(sent).toMatchObject({ reason: 'extra_index', id: expect.stringContaining('shown.stop-') });
    expect(sent?.decision).toBe(sent?.id);
  });

  test('counts the RUNNING instances of each version, and the named instance in any state', async () => {
    await healthyApp(deployment, 'counted', 2);
    const old = deployment.dea('dea-1').run('counted', 0, 'counted-v0', 'STARTING');
    deployment.dea('dea-2').run('counted', 5, 'counted-v0', 'STARTING');
    await deployment.heartbeat();
    await deployment.advance(1); // a version that no pass has listed waits for the next pass
    const counts = { running: { 'counted-v1': 2, 'counted-v0': 1 }, version: 'counted-v1' };
    expect(deployment.takeSentMessages('counted')).toContainEqual(
      expect.objectContaining({ instance: old, message: expect.objectContaining(counts) }),
    );
  });
});

describe('stopped', () => {
  test('stops every STARTING, RUNNING or EVACUATING instance, but no CRASHED one', async () => {
    const guids = await healthyApp(deployment, 'off', 3);
    deployment.dea('dea-1').changeState(guids[0] as string, 'STARTING');
    deployment.dea('dea-2').changeState(guids[1] as string, 'EVACUATING');
    deployment.dea('dea-3').run('off', 3, undefined, 'CRASHED');
    await deployment.heartbeat();
    deployment.takeSentMessages('off');
    await deployment.desire('off', { state: 'STOPPED' });
    expect(deployment.takeSent('off')).toEqual(guids.map((guid) => `stop ${guid} of off (stopped)`).sort());
  });

  test('names instances of every version with the live one, so that the controller accepts it', async () => {
    await deployment.desire('old and off', { version: 'two' });
    const old = deployment.dea('dea-2').run('old and off', 0, 'one');
    const current = deployment.dea('dea-1').run('old and off', 0, 'two', 'STARTING');
    await deployment.heartbeat();
    deployment.takeSentMessages('old and off');
    await deployment.desire('old and off', { state: 'STOPPED' });
    const sent = deployment.takeSentMessages('old and off').map(({ message }) => message);
    expect(sent).toHaveLength(2);
    for (const guid of [old, current])
      expect(sent).toContainEqual(
        expect.objectContaining({
          version: 'two',
          ...(isHm2 ? { instances: { [guid]: 'two' } } : { instance_guid: guid }),
        }),
      );
  });

  test('asks for no stop of an instance that left the list of its DEA without an exit', async () => {
    const [first, second] = await healthyApp(deployment, 'ended', 2);
    deployment.dea('dea-1').forget(first as string);
    await deployment.heartbeat();
    await deployment.desire('ended', { state: 'STOPPED' });
    expect(deployment.takeSent('ended')).toEqual([`stop ${second} of ended (stopped)`]);
    deployment.dea('dea-2').forget(second as string);
    await deployment.advance(65);
    expect(deployment.takeSent('ended')).toEqual([]);
  });

  test('is repeated after droplet_lost while the instance is listed, and not after it ended', async () => {
    const [stays, goes] = await healthyApp(deployment, 'stubborn', 2);
    await deployment.desire('stubborn', { state: 'STOPPED' });
    const first = deployment.takeSentMessages('stubborn');
    expect(first).toHaveLength(2);
    await endInstance(deployment, goes, 'STOPPED');
    await deployment.advance(29);
    expect(deployment.takeSent('stubborn')).toEqual([]);
    await deployment.advance(3);
    const repeated = deployment.takeSentMessages('stubborn');
    expect(repeated.map(({ instance }) => instance)).toEqual([stays]);
    expect(first.map(({ id }) => id)).not.toContain(repeated[0]?.id);
    await endInstance(deployment, stays, 'STOPPED');
    await deployment.advance(65);
    expect(deployment.takeSent('stubborn')).toEqual([]);
  });
});

describe('extra_index', () => {
  test('is chosen by index, whatever the order of arrival', async () => {
    await deployment.desire('order', { instances: 2 });
    const dea = deployment.dea('dea-1');
    const [three, one, two, zero] = [3, 1, 2, 0].map((index) => dea.run('order', index));
    await deployment.heartbeat();
    expect(deployment.takeSent('order')).toEqual(
      [`stop ${three} of order (extra_index)`, `stop ${two} of order (extra_index)`].sort(),
    );
    expect([one, zero]).toEqual(dea.guidsOf('order').filter((guid) => guid !== three && guid !== two));
  });

  test('waits while the controller would refuse it; of several stops, those that it would accept are sent', async () => {
    await deployment.desire('short', { instances: 2 });
    const dea = deployment.dea('dea-1');
    dea.run('short', 1);
    const [two, three] = [dea.run('short', 2), dea.run('short', 3)];
    await deployment.heartbeat();
    // Three run and two must stay, so one may go; the highest index goes first.
    expect(deployment.takeSent('short')).toEqual([`stop ${three} of short (extra_index)`]);
    await endInstance(deployment, three, 'STOPPED');
    await deployment.advance(25);
    expect(deployment.takeSent('short')).toEqual([]);
    dea.run('short', 0);
    await deployment.heartbeat();
    expect(deployment.takeSent('short')).toEqual([`stop ${two} of short (extra_index)`]);
  });
});

describe('wrong_version', () => {
  test('is stopped once the live version has a RUNNING instance, and not before', async () => {
    const [old] = await healthyApp(deployment, 'pushed', 1, { version: 'v1' });
    await deployment.desire('pushed', { version: 'v2' });
    await deployment.advance(31);
    expect(deployment.takeSent('pushed')).toEqual(['start pushed/0 (missing)']);
    const fresh = deployment.dea('dea-2').run('pushed', 0, 'v2', 'STARTING');
    await deployment.heartbeat();
    expect(deployment.takeSent('pushed')).toEqual([]);
    deployment.dea('dea-2').changeState(fresh, 'RUNNING');
    await deployment.heartbeat();
    expect(deployment.takeSent('pushed')).toEqual([`stop ${old} of pushed (wrong_version)`]);
  });
});

describe('evacuation_complete', () => {
  test('stops the instance when its slot has a RUNNING instance elsewhere', async () => {
    const [leaving] = await healthyApp(deployment, 'moved', 1);
    await endInstance(deployment, leaving, 'DEA_EVACUATION');
    expect(deployment.takeSent('moved')).toEqual(['start moved/0 (evacuated)']);
    const fresh = deployment.dea('dea-2').run('moved', 0, undefined, 'STARTING');
    await deployment.heartbeat();
    expect(deployment.takeSent('moved')).toEqual([]);
    deployment.dea('dea-2').changeState(fresh, 'RUNNING');
    await deployment.heartbeat();
    expect(deployment.takeSent('moved')).toEqual([`stop ${leaving} of moved (evacuation_complete)`]);
  });

  test('stops the instance when its slot is not wanted any more', async () => {
    const [, , third] = await healthyApp(deployment, 'shrunk', 3);
    await deployment.desire('shrunk', { instances: 2 });
    deployment.takeSentMessages('shrunk');
    await endInstance(deployment, third, 'DEA_EVACUATION');
    await deployment.advance(32); // the first stop, for extra_index, has timed out
    expect(deployment.takeSent('shrunk')).toEqual([`stop ${third} of shrunk (evacuation_complete)`]);
  });

  test('does not stop an app that was never listed', async () => {
    deployment.dea('dea-1').run('unlisted', 0, undefined, 'EVACUATING');
    await deployment.advance(60);
    expect(deployment.takeSent('unlisted')).toEqual([]);
  });
});

describe('a stop is rechecked when it leaves', () => {
  test('and dropped and logged if the app is wanted again by then', async () => {
    const [, second] = await healthyApp(deployment, 'undecided', 2);
    await deployment.processes.stop('nudger');
    await deployment.desire('undecided', { instances: 1 });
    expect(await deployment.quiescence.queue('stops').getWaitingCount()).toBe(1);
    await deployment.desire('undecided', { instances: 2 });
    await deployment.processes.start('nudger');
    await deployment.settle();
    expect(deployment.takeSent('undecided')).toEqual([]);
    expect(await deployment.quiescence.queue('stops').count()).toBe(0);
    const log = await deployment.decisions('undecided');
    expect(log).toContainEqual(
      expect.objectContaining({ kind: 'stop', instance: second, reason: 'extra_index' }),
    );
    expect(log.at(-1)).toMatchObject({ kind: expect.stringMatching(/^(cancel|dropped)$/) });
  });

  test('and not sent if the instance has ended by then', async () => {
    const [, second] = await healthyApp(deployment, 'gone', 2);
    await deployment.processes.stop('nudger');
    await deployment.desire('gone', { instances: 1 });
    deployment.dea('dea-2').end(second as string, 'STOPPED');
    await deployment.settle();
    await deployment.processes.start('nudger');
    await deployment.settle();
    expect(deployment.takeSent('gone')).toEqual([]);
  });
});
