import { expect, test } from 'vitest';
import type { LogEntry } from '../model/decision-log.ts';
import { useRedis } from '../testing/context.ts';
import { LogFollower } from './follow-log.ts';

const of = useRedis({ settings: { slices: 4 } });

async function write(slice: number, atMs: number): Promise<LogEntry> {
  const entry: LogEntry = { atMs, droplet: `of-${slice}`, kind: 'updated' };
  const { client, keys } = of.context.redis;
  await client.xadd(keys.decisions(slice), '*', 'entry', JSON.stringify(entry));
  return entry;
}

test('begins at the end, or with the latest of all slices by time', async () => {
  const entries = [await write(3, 1), await write(0, 2), await write(3, 3), await write(1, 4)];
  expect(await new LogFollower().begin(of.context.redis)).toEqual([]);
  expect(await new LogFollower().begin(of.context.redis, 3)).toEqual(entries.slice(1));
});

test('reads on: each entry once, also of a slice that had none', async () => {
  await write(3, 1);
  const follower = new LogFollower();
  await follower.begin(of.context.redis);
  expect(await follower.read(of.context.redis)).toEqual([]);
  const entries = [await write(2, 20), await write(3, 10)];
  expect(await follower.read(of.context.redis)).toEqual(entries.reverse());
  expect(await follower.read(of.context.redis)).toEqual([]);
});

test('what nobody of ours has written is counted and keeps nothing back', async () => {
  const follower = new LogFollower();
  await follower.begin(of.context.redis);
  const { client, keys } = of.context.redis;
  await client.xadd(keys.decisions(0), '*', 'entry', 'edited by hand');
  await client.xadd(keys.decisions(0), '*', 'other', '1');
  const entry = await write(0, 1);
  expect(await follower.read(of.context.redis)).toEqual([entry]);
  expect(follower.unreadable).toBe(2);
});
