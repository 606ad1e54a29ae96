import { afterAll, beforeAll, expect, test } from 'vitest';
import { RELEASE_FIELD } from '../../../common/redis/holds.ts';
import type { Deployment } from './deployment.ts';
import { cloud, healthyApp } from './fixtures.ts';

let world: Deployment;
beforeAll(async () => {
  world = await cloud();
});
afterAll(() => world.stop());

test('mass_delete edited into nonsense keeps surplus apps until an operator releases it', async () => {
  await healthyApp(world, 'web', 1);
  const { client, keys } = world.store;
  await client.hset(keys.holds, 'mass_delete', 'by hand');
  await world.undesire('web');
  await world.advance(400);
  expect(world.takeAsked()).toEqual([]);
  expect(world.logged('unreadable_hold')).toMatchObject([{ hold: 'mass_delete' }]);
  await client.hset(keys.holds, RELEASE_FIELD.mass_delete, world.clock.nowMs());
  await world.advance(400);
  expect(new Set(world.takeSent().map(({ reason }) => reason))).toEqual(new Set(['extra_app']));
});

test('mass_loss edited into nonsense stops no start', async () => {
  const { client, keys } = world.store;
  await client.hset(keys.holds, 'mass_loss', '{"lateDeas":');
  await world.desire('new', { instances: 1 });
  await world.advance(40);
  expect(world.takeAsked('new')).toEqual(['start new/0 (missing)']);
});
