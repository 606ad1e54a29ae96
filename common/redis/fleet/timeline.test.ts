import { expect, test } from 'vitest';
import { useRedis } from '../../testing/context.ts';
import { LONG_STEP_MS, LONG_STEPS, readDay, readTimeline, STEP_MS, STEPS, storePoint } from './timeline.ts';

const of = useRedis();
const T0 = 1_700_000_000_000;
const point = (atMs: number) => ({ atMs, wanted: 10, running: 9, flapping: 1 });

test('an hour of points is kept, oldest first', async () => {
  const { redis } = of.context;
  for (let n = 0; n < STEPS + 50; n++) await storePoint(redis, point(T0 + n * STEP_MS));
  const lastMs = T0 + (STEPS + 49) * STEP_MS;
  const points = await readTimeline(redis, lastMs);
  expect([points.length, points[0], points.at(-1)]).toEqual([STEPS, point(T0 + 50 * STEP_MS), point(lastMs)]);
  // And the long steps of that time.
  expect(await redis.client.hlen(redis.keys.timeline)).toBe(STEPS + 35);
});

test('the latest point within a step stays', async () => {
  const { redis } = of.context;
  await storePoint(redis, point(T0));
  await storePoint(redis, { ...point(T0 + 1), running: 3 });
  expect(await readTimeline(redis, T0 + 1)).toEqual([{ ...point(T0 + 1), running: 3 }]);
});

test('points older than an hour and invalid ones are left out', async () => {
  const { redis } = of.context;
  await storePoint(redis, point(T0));
  await redis.client.hset(redis.keys.timeline, '359', 'edited', '358', '1 2 3', '357', `${T0} -1 2 3`);
  expect(await readTimeline(redis, T0)).toEqual([point(T0)]);
  expect(await readTimeline(redis, T0 + STEPS * STEP_MS)).toEqual([]);
});

test('a day is kept in long steps: the worst point of each, with every hold that was on in it', async () => {
  const { redis } = of.context;
  const start = Math.ceil(T0 / LONG_STEP_MS) * LONG_STEP_MS;
  for (let n = 0; n < LONG_STEPS + 3; n++) await storePoint(redis, point(start + n * LONG_STEP_MS));
  const lastMs = start + (LONG_STEPS + 2) * LONG_STEP_MS;
  await storePoint(redis, { ...point(lastMs + 10_000), running: 2, holds: ['mass_loss'] });
  await storePoint(redis, { ...point(lastMs + 20_000), holds: ['operator'] });
  const points = await readDay(redis, lastMs + 20_000);
  expect([points.length, points[0]]).toEqual([LONG_STEPS, point(start + 3 * LONG_STEP_MS)]);
  const worst = { ...point(lastMs + 10_000), running: 2, holds: ['mass_loss', 'operator'] };
  expect(points.at(-1)).toEqual(worst);
  // The last hour has each of them.
  expect((await readTimeline(redis, lastMs + 20_000)).slice(-2)).toEqual([
    { ...point(lastMs + 10_000), running: 2, holds: ['mass_loss'] },
    { ...point(lastMs + 20_000), holds: ['operator'] },
  ]);
});
