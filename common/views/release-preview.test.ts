import { expect, test } from 'vitest';
import { FINGERPRINT_LENGTH } from '../redis/fleet/dea-list.ts';
import { useRedis } from '../testing/context.ts';
import { readReleasePreview, releaseText } from './release-preview.ts';

const fixture = useRedis();
const LIMITS = { startsPerPeriod: 40, startsPeriodMs: 1000 };

test('mass_loss: the wanted instances that the late DEAs listed last', async () => {
  const { redis, clock } = fixture.context;
  const { client, keys } = redis;
  const late = Array.from({ length: 250 }, (_, at) => `dea-${at}`);
  await client.hset(keys.holds, 'mass_loss', JSON.stringify({ sinceMs: 1, lateDeas: late }));
  const line = (droplet: string) => `${'f'.repeat(FINGERPRINT_LENGTH)}${droplet}\n`;
  for (const dea of late)
    await client.hset(keys.deaList(dea), {
      list: line('web') + line('web') + line(dea) + line('gone'),
      unwanted: 'gone\n',
    });
  await client.hset(keys.deaList('alive'), { list: line('other') });
  const preview = await readReleasePreview(redis, 'mass_loss', clock.nowMs(), LIMITS);
  expect(preview).toEqual({ hold: 'mass_loss', deas: 250, instances: 750, apps: 251, startsPerSecond: 40 });
  expect(releaseText(preview)).toBe(
    '250 DEAs are silent. Releasing starts 750 instances of 251 apps elsewhere, at most 40 a second. If those DEAs are only cut off, each of these runs twice until they are back.',
  );
});

test('mass_delete: the apps that left the list, and once the audit has counted them those that it holds', async () => {
  const { redis, clock } = fixture.context;
  const { client, keys } = redis;
  await client.hset(
    keys.holds,
    'mass_delete',
    JSON.stringify({ sinceMs: clock.nowMs(), accepted: 100, listed: 3 }),
  );
  const apps = async () => (await readReleasePreview(redis, 'mass_delete', clock.nowMs(), LIMITS)).apps;
  expect(await apps()).toBe(97);
  await client.hset(keys.summary(0), 'held_mass_delete', 12);
  expect(await apps()).toBe(12);
});
