import { afterAll, beforeAll, expect, test } from 'vitest';
import { RELEASE_FIELD } from '../../../common/redis/fleet/holds/holds.ts';
import type { Deployment } from './deployment.ts';
import { healthyApp, startCloud } from './fixtures.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud();
});
afterAll(() => deployment.stop());

test('an unreadable mass_delete keeps surplus apps until an operator releases it', async () => {
  await healthyApp(deployment, 'web', 1);
  const { client, keys } = deployment.observer;
  await client.hset(keys.holds, 'mass_delete', 'by hand');
  await deployment.deleteApp('web');
  await deployment.advance(400);
  expect(deployment.takeSent()).toEqual([]);
  expect(deployment.logged('unreadable_hold')).toMatchObject([{ hold: 'mass_delete' }]);
  await client.hset(keys.holds, RELEASE_FIELD.mass_delete, deployment.clock.nowMs());
  await deployment.advance(400);
  expect(new Set(deployment.takeSentMessages().map(({ reason }) => reason))).toEqual(new Set(['extra_app']));
});

test('an unreadable mass_loss holds no start', async () => {
  const { client, keys } = deployment.observer;
  await client.hset(keys.holds, 'mass_loss', '{"lateDeas":');
  await deployment.desire('new', { instances: 1 });
  await deployment.advance(40);
  expect(deployment.takeSent('new')).toEqual(['start new/0 (missing)']);
});
