import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
beforeAll(async () => {
  // A third of what is usual, so that it takes a third of the time.
  const policy = {
    desiredStateLostMs: 60_000,
    dropletGcGraceMs: 80_000,
    dropletGcMs: 100_000,
    flappingTimeoutMs: 160_000,
  };
  world = await cloud({ policy, settings: { syncPeriodMs: 20_000 } });
});
afterAll(() => world.stop());

const known = async (droplet: string) =>
  (await world.store.client.exists(world.store.keys.droplet(droplet))) === 1;

describe('extra_app', () => {
  test('what runs of an app that is gone is stopped desired_state_lost after it was last listed', async () => {
    const [guid] = await healthyApp(world, 'deleted', 1);
    world.dea('dea-2').run('deleted', 0, undefined, 'EVACUATING');
    world.dea('dea-3').run('deleted', 1, undefined, 'STARTING');
    world.dea('dea-3').run('deleted', 2, undefined, 'CRASHED');
    await world.undesire('deleted');
    await world.advance(59);
    expect(world.takeAsked('deleted')).toEqual([]);
    await world.advance(6);
    const sent = world.takeSent('deleted');
    expect(sent.map(({ reason }) => reason)).toEqual(['extra_app', 'extra_app', 'extra_app']);
    expect(sent.find(({ instance }) => instance === guid)?.message).toEqual({
      droplet: 'deleted',
      last_updated: null,
      instances: { [guid as string]: 'deleted-v1' },
      running: { 'deleted-v1': 1 },
      version: null,
    });
  });

  test('what was never listed is stopped that long after it was first heard; a crash of it is not answered', async () => {
    const guid = world.dea('dea-1').run('unknown', 0);
    await world.beat();
    await world.advance(59);
    world
      .dea('dea-2')
      .sayExited({ droplet: 'unknown', version: 'unknown-v1', guid: 'x', index: 1 }, 'CRASHED');
    await world.settle();
    expect(world.takeAsked('unknown')).toEqual([]);
    await world.advance(6);
    expect(world.takeAsked('unknown')).toEqual([`stop ${guid} of unknown (extra_app)`]);
  });

  test('goes on being stopped while it runs: clean-up does not forget it, and its time does not begin anew', async () => {
    world.dea('dea-1').run('stubborn', 0);
    await world.advance(70);
    expect(world.takeSent('stubborn')).toHaveLength(1);
    await world.advance(160);
    // Every droplet_lost, as long as it is there; never with an empty list.
    expect(world.takeSent('stubborn').length).toBeGreaterThanOrEqual(4);
  });

  test('an entry that is listed but cannot be read counts as listed', async () => {
    const guids = await healthyApp(world, 'garbled', 2);
    await world.desire('garbled', { instances: 'many' }, { quietly: true });
    await world.desire('never read', { state: 7 }, { quietly: true });
    world.dea('dea-1').run('never read', 0);
    await world.advance(150);
    expect([...world.takeAsked('garbled'), ...world.takeAsked('never read')]).toEqual([]);
    // Its last good record stays: what is missing of it is started.
    await end(world, guids[0], 'CRASHED');
    expect(world.takeSent('garbled')).toMatchObject([{ reason: 'crashed', index: 0 }]);
    world.takeFaults(); // the referee cannot count to 'many'
    await world.undesire('garbled');
    await world.undesire('never read');
  });
});

describe('clean-up', () => {
  test('removes what is neither desired nor running, with all that belongs to it', async () => {
    const [guid] = await healthyApp(world, 'over', 1);
    await end(world, guid, 'CRASHED');
    await world.undesire('over', { quietly: true });
    world.publish(SUBJECTS.updated, { droplet: 'only heard of' });
    await world.settle();
    expect(await known('only heard of')).toBe(true);
    for (const dea of world.deas.values()) for (const it of dea.instances.values()) dea.forget(it.guid);
    await world.advance(70);
    expect(await known('over')).toBe(true);
    await world.advance(200);
    expect(await known('over')).toBe(false);
    expect(await known('only heard of')).toBe(false);
    const { client, keys } = world.store;
    expect(await client.hexists(keys.indexOf('over'), 'over')).toBe(0);
    expect(await client.zscore(keys.due(keys.sliceOf('over')), 'over')).toBeNull();
  });

  test('forgets a DEA that has not been heard for ten times droplet_lost', async () => {
    const { client, keys } = world.store;
    world.dea('brief').run('somewhere', 0);
    await world.beat();
    expect(await client.zscore(keys.deasLastHeartbeat, 'brief')).not.toBeNull();
    world.deas.delete('brief');
    await world.advance(305);
    expect(await client.zscore(keys.deasLastHeartbeat, 'brief')).toBeNull();
    expect(await client.exists(keys.deaList('brief'))).toBe(0);
  });

  test('leaves nothing that grows', async () => {
    for (const droplet of ['over', 'garbled', 'never read', 'deleted', 'unknown', 'stubborn', 'somewhere']) {
      await world.undesire(droplet, { quietly: true });
    }
    await world.advance(200);
    const { client, keys } = world.store;
    const droplets = (await client.call(
      'KEYS',
      `${keys.droplet('x').split(':')[0]}:*:droplet:*`,
    )) as string[];
    expect(droplets).toEqual([]);
    for (const name of ['starts', 'restarts', 'stops'] as const)
      expect(await world.rest.queue(name).count()).toBe(0);
    expect(world.takeAsked('over')).toEqual(expect.not.arrayContaining([expect.stringContaining('stop')]));
  });
});
