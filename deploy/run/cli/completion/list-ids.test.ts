import { expect, test } from 'vitest';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();

test('lists the ids that begin with the prefix', async () => {
  const { clock } = fixture.context;
  for (const droplet of ['web-1', 'web-2', 'api'])
    await fixture.list(droplet, 'STARTED 1x STAGED version v 256M updated 1', clock.nowMs());
  await fixture.heartbeat('dea-7', 'web-1', { i: '0 RUNNING' }, clock.nowMs());
  expect((await fixture.hm(['complete-ids', 'droplets', 'web'])).stdout).toEqual(['web-1', 'web-2']);
  expect((await fixture.hm(['complete-ids', 'droplets'])).stdout).toEqual(['api', 'web-1', 'web-2']);
  expect((await fixture.hm(['complete-ids', 'deas', 'dea'])).stdout).toEqual(['dea-7']);
  expect((await fixture.hm(['complete-ids', 'deas', 'x'])).stdout).toEqual([]);
  expect((await fixture.hm(['complete-ids', 'others'])).code).toBe(64);
});
