import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
beforeAll(async () => {
  world = await cloud();
});
afterAll(() => world.stop());

describe('the message health.stop', () => {
  test('of an app that is desired says what the contract says, with the headers that say why', async () => {
    const app = { updated_at: '2014-04-20 21:20:00 +0800', version: 'v-9' };
    const [, second] = await healthyApp(world, 'said', 2, app);
    await world.desire('said', { instances: 1 });
    const [sent] = world.takeSent('said');
    expect(sent?.text).toBe(
      `{"droplet":"said","last_updated":1398000000,"instances":{"${second}":"v-9"},"running":{"v-9":2},"version":"v-9"}`,
    );
    expect(sent).toMatchObject({ reason: 'extra_index', id: expect.stringContaining('said.stop-') });
    expect(sent?.decision).toBe(sent?.id);
  });

  test('counts each version’s RUNNING instances, and the named one whatever its state', async () => {
    await healthyApp(world, 'counted', 2);
    const old = world.dea('dea-1').run('counted', 0, 'counted-v0', 'STARTING');
    world.dea('dea-2').run('counted', 5, 'counted-v0', 'STARTING');
    await world.beat();
    const counts = { running: { 'counted-v1': 2, 'counted-v0': 1 }, version: 'counted-v1' };
    expect(world.takeSent('counted')).toContainEqual(
      expect.objectContaining({ instance: old, message: expect.objectContaining(counts) }),
    );
  });
});

describe('stopped', () => {
  test('every STARTING, RUNNING or EVACUATING instance, never a CRASHED one', async () => {
    const guids = await healthyApp(world, 'off', 3);
    world.dea('dea-1').turn(guids[0] as string, 'STARTING');
    world.dea('dea-2').turn(guids[1] as string, 'EVACUATING');
    world.dea('dea-3').run('off', 3, undefined, 'CRASHED');
    await world.beat();
    world.takeSent('off');
    await world.desire('off', { state: 'STOPPED' });
    expect(world.takeAsked('off')).toEqual(guids.map((guid) => `stop ${guid} of off (stopped)`).sort());
  });

  test('is asked again after droplet_lost while the instance is there, and not once it is gone', async () => {
    const [stays, goes] = await healthyApp(world, 'stubborn', 2);
    await world.desire('stubborn', { state: 'STOPPED' });
    const first = world.takeSent('stubborn');
    expect(first).toHaveLength(2);
    await end(world, goes, 'STOPPED');
    await world.advance(29);
    expect(world.takeAsked('stubborn')).toEqual([]);
    await world.advance(3);
    const again = world.takeSent('stubborn');
    expect(again.map(({ instance }) => instance)).toEqual([stays]);
    expect(first.map(({ id }) => id)).not.toContain(again[0]?.id);
    await end(world, stays, 'STOPPED');
    await world.advance(65);
    expect(world.takeAsked('stubborn')).toEqual([]);
  });
});

describe('extra_index', () => {
  test('is picked by index, whatever the order of arrival', async () => {
    await world.desire('order', { instances: 2 });
    const dea = world.dea('dea-1');
    const [three, one, two, zero] = [3, 1, 2, 0].map((index) => dea.run('order', index));
    await world.beat();
    expect(world.takeAsked('order')).toEqual(
      [`stop ${three} of order (extra_index)`, `stop ${two} of order (extra_index)`].sort(),
    );
    expect([one, zero]).toEqual(dea.of('order').filter((guid) => guid !== three && guid !== two));
  });

  test('waits as long as the controller would refuse it; of several those are sent that it would not refuse', async () => {
    await world.desire('short', { instances: 2 });
    const dea = world.dea('dea-1');
    dea.run('short', 1);
    const [two, three] = [dea.run('short', 2), dea.run('short', 3)];
    await world.beat();
    // Three run and two must stay: one may go, and the highest goes first.
    expect(world.takeAsked('short')).toEqual([`stop ${three} of short (extra_index)`]);
    await end(world, three, 'STOPPED');
    await world.advance(25);
    expect(world.takeAsked('short')).toEqual([]);
    dea.run('short', 0);
    await world.beat();
    expect(world.takeAsked('short')).toEqual([`stop ${two} of short (extra_index)`]);
  });
});

describe('wrong_version', () => {
  test('goes once the live version has a RUNNING instance, and not before', async () => {
    const [old] = await healthyApp(world, 'pushed', 1, { version: 'v1' });
    await world.desire('pushed', { version: 'v2' });
    await world.advance(31);
    expect(world.takeAsked('pushed')).toEqual(['start pushed/0 (missing)']);
    const fresh = world.dea('dea-2').run('pushed', 0, 'v2', 'STARTING');
    await world.beat();
    expect(world.takeAsked('pushed')).toEqual([]);
    world.dea('dea-2').turn(fresh, 'RUNNING');
    await world.beat();
    expect(world.takeAsked('pushed')).toEqual([`stop ${old} of pushed (wrong_version)`]);
  });
});

describe('evacuation_complete', () => {
  test('when the slot has a RUNNING instance elsewhere', async () => {
    const [leaving] = await healthyApp(world, 'moved', 1);
    await end(world, leaving, 'DEA_EVACUATION');
    expect(world.takeAsked('moved')).toEqual(['start moved/0 (evacuated)']);
    const fresh = world.dea('dea-2').run('moved', 0, undefined, 'STARTING');
    await world.beat();
    expect(world.takeAsked('moved')).toEqual([]);
    world.dea('dea-2').turn(fresh, 'RUNNING');
    await world.beat();
    expect(world.takeAsked('moved')).toEqual([`stop ${leaving} of moved (evacuation_complete)`]);
  });

  test('when the slot is not wanted any more', async () => {
    const [, , third] = await healthyApp(world, 'shrunk', 3);
    await world.desire('shrunk', { instances: 2 });
    world.takeSent('shrunk');
    await end(world, third, 'DEA_EVACUATION');
    await world.advance(32); // the stop that was asked for as extra_index has had its time
    expect(world.takeAsked('shrunk')).toEqual([`stop ${third} of shrunk (evacuation_complete)`]);
  });

  test('not of an app that nobody ever listed', async () => {
    world.dea('dea-1').run('nameless', 0, undefined, 'EVACUATING');
    await world.advance(60);
    expect(world.takeAsked('nameless')).toEqual([]);
  });
});

describe('a stop is checked again when it leaves', () => {
  test('one for an app that is wanted again by then is dropped, and that is a decision too', async () => {
    const [, second] = await healthyApp(world, 'undecided', 2);
    await world.end('nudger');
    await world.desire('undecided', { instances: 1 });
    expect(await world.rest.queue('stops').getWaitingCount()).toBe(1);
    await world.desire('undecided', { instances: 2 });
    await world.run('nudger');
    await world.settle();
    expect(world.takeAsked('undecided')).toEqual([]);
    expect(await world.rest.queue('stops').count()).toBe(0);
    const story = await world.decisions('undecided');
    expect(story).toContainEqual(
      expect.objectContaining({ kind: 'stop', instance: second, reason: 'extra_index' }),
    );
    expect(story.at(-1)).toMatchObject({ kind: expect.stringMatching(/^(cancel|dropped)$/) });
  });

  test('one for an instance that is gone by then is not sent', async () => {
    const [, second] = await healthyApp(world, 'gone', 2);
    await world.end('nudger');
    await world.desire('gone', { instances: 1 });
    world.dea('dea-2').end(second as string, 'STOPPED');
    await world.settle();
    await world.run('nudger');
    await world.settle();
    expect(world.takeAsked('gone')).toEqual([]);
  });
});
