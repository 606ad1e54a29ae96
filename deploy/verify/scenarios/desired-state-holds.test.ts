import { afterEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
afterEach(() => deployment.stop());

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
      await expect.poll(() => client.hget(keys.droplet('late-19'), FIELD.updated)).not.toBeNull();
      await deployment.processes.find('ingest')?.ingest?.idle();
      deployment.clock.advance(1);
    };
    await deployment.announceUpdate('app-1');
    expect(deployment.controller.pageRequests - before).toBe(2);
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
