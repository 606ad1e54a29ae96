import { expect, test } from 'vitest';
import { useRedis } from '../../testing/context.ts';
import { readTimeline, STEP_MS, STEPS, storePoint } from './timeline.ts';

const of = useRedis();
const T0 = 1_700_000_000_000;
const point = (atMs: number) => ({ atMs, wanted: 10, running: 9, flapping: 1 });

test('an hour of points is kept, oldest first', async () => {
  const { redis } = of.context;
  for (let n = 0; n < STEPS + 50; n++) await storePoint(redis, point(T0 + n * STEP_MS));
  const lastMs = T0 + (STEPS + 49) * STEP_MS;
  const points = await readTimeline(redis, lastMs);
  expect([points.length, points[0], points.at(-1)]).toEqual([STEPS, point(T0 + 50 * STEP_MS), point(lastMs)]);
  expect(await redis.client.hlen(redis.keys.timeline)).toBe(STEPS);
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
