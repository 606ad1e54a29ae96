import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

describe('of two copies of an index', () => {
  let world: Deployment;
  beforeAll(async () => {
    world = await cloud();
  });
  afterAll(() => world.stop());

  test('the younger goes, when each was listed twice since it was first heard', async () => {
    const [old] = await healthyApp(world, 'pair', 1);
    await world.advance(12);
    const host = world.dea('dea-2');
    const heartbeats = vi.spyOn(host, 'beat');
    const young = host.run('pair', 0);
    await world.beat();
    expect(world.takeAsked('pair')).toEqual([]);
    let sent = world.takeSent('pair');
    for (let s = 0; s < 25 && sent.length === 0; s++) {
      await world.advance(1);
      sent = world.takeSent('pair');
    }
    expect(heartbeats.mock.calls.length).toBeGreaterThanOrEqual(2);
    heartbeats.mockRestore();
    expect(sent).toMatchObject([{ kind: 'stop', instance: young, reason: 'duplicate' }]);
    expect(sent[0]?.message).toMatchObject({ running: { 'pair-v1': 2 } });
    await end(world, young, 'STOPPED');
    await world.advance(65);
    expect(world.takeAsked('pair')).toEqual([]);
    expect(world.dea('dea-1').of('pair')).toEqual([old]);
  });

  test('a RUNNING one stays and a STARTING one goes, though that is older', async () => {
    await world.desire('slow', {});
    const starting = world.dea('dea-1').run('slow', 0, undefined, 'STARTING');
    await world.advance(5);
    world.dea('dea-2').run('slow', 0);
    await world.advance(31);
    expect(world.takeAsked('slow')).toEqual([`stop ${starting} of slow (duplicate)`]);
    await end(world, starting, 'STOPPED');
  });

  test('of equal age the one with the smallest guid stays', async () => {
    await world.desire('twins', {});
    const guids = ['dea-1', 'dea-2'].map((dea) => world.dea(dea).run('twins', 0)).sort();
    await world.advance(31);
    expect(world.takeAsked('twins')).toEqual([`stop ${guids[1]} of twins (duplicate)`]);
    await end(world, guids[1], 'STOPPED');
  });

  test('an instance whose host has just died must not win over the one that replaced it', async () => {
    await world.desire('replaced', {});
    const host = world.dea('host');
    host.run('replaced', 0);
    await world.advance(20);
    world.dea('dea-1').run('replaced', 0); // started by someone else, while the host dies
    host.die();
    await world.advance(60);
    expect(world.takeAsked('replaced')).toEqual([]);
    world.deas.delete('host');
  });

  test('three copies: one other at a time, and the last RUNNING one never', async () => {
    await world.desire('trio', {});
    const [keep, second, third] = ['dea-1', 'dea-2', 'dea-3'].map((dea) => world.dea(dea).run('trio', 0));
    let first = world.takeSent('trio');
    for (let s = 0; s < 31 && first.length === 0; s++) {
      await world.advance(1);
      first = world.takeSent('trio');
    }
    expect(first).toHaveLength(1);
    expect([second, third]).toContain(first[0]?.instance);
    await world.advance(15);
    expect(world.takeAsked('trio')).toEqual([]); // that one is on its way
    await end(world, first[0]?.instance, 'STOPPED');
    await world.advance(20);
    const then = world.takeSent('trio');
    expect([...first, ...then].map(({ instance }) => instance).sort()).toEqual([second, third].sort());
    await end(world, then[0]?.instance, 'STOPPED');
    await world.advance(65);
    expect(world.takeAsked('trio')).toEqual([]);
    expect(world.dea('dea-1').of('trio')).toEqual([keep]);
  });
});
