import { expect, test } from 'vitest';
import type { LogEntry } from '../../model/decision-log.ts';
import { useRedis } from '../../testing/context.ts';
import { LogFollower } from './follow-log.ts';

const fixture = useRedis({ settings: { slices: 4 } });

async function write(slice: number, atMs: number): Promise<LogEntry> {
  const entry: LogEntry = { atMs, droplet: `of-${slice}`, kind: 'updated' };
  const { client, keys } = fixture.context.redis;
  await client.xadd(keys.decisions(slice), '*', 'entry', JSON.stringify(entry));
  return entry;
}

test('begin sets the position to the end, and returns the latest entries of all slices by time', async () => {
  const entries = [await write(3, 1), await write(0, 2), await write(3, 3), await write(1, 4)];
  expect(await new LogFollower().begin(fixture.context.redis)).toEqual([]);
  expect(await new LogFollower().begin(fixture.context.redis, 3)).toEqual(entries.slice(1));
});

test('begin goes back page by page to the latest selected entries, not beyond a time', async () => {
  const { client, keys } = fixture.context.redis;
  const wanted = await write(2, 5);
  const many = client.pipeline();
  for (let n = 0; n < 1_200; n++)
    many.xadd(
      keys.decisions(2),
      '*',
      'entry',
      JSON.stringify({ atMs: 6, droplet: 'other', kind: 'updated' }),
    );
  await many.exec();
  const ofSlice2 = ({ droplet }: LogEntry) => droplet === 'of-2';
  const { redis } = fixture.context;
  expect(await new LogFollower().begin(redis, 2, ofSlice2)).toEqual([wanted]);
  const [seconds, micros] = await client.time();
  const laterMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000) + 60_000;
  expect(await new LogFollower().begin(redis, 2, ofSlice2, laterMs)).toEqual([]);
});

test('read returns each new entry once, also of a slice whose log was empty', async () => {
  await write(3, 1);
  const follower = new LogFollower();
  await follower.begin(fixture.context.redis);
  expect(await follower.read(fixture.context.redis)).toEqual([]);
  const entries = [await write(2, 20), await write(3, 10)];
  expect(await follower.read(fixture.context.redis)).toEqual(entries.reverse());
  expect(await follower.read(fixture.context.redis)).toEqual([]);
});

test('an entry in an unknown format is counted, and the entries after it are returned', async () => {
  const follower = new LogFollower();
  await follower.begin(fixture.context.redis);
  const { client, keys } = fixture.context.redis;
  await client.xadd(keys.decisions(0), '*', 'entry', 'edited by hand');
  await client.xadd(keys.decisions(0), '*', 'other', '1');
  const entry = await write(0, 1);
  expect(await follower.read(fixture.context.redis)).toEqual([entry]);
  expect(follower.unreadable).toBe(2);
});
