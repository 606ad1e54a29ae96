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

const ALL = { count: 10, maxRead: 1_000 };
const begin = (past?: Parameters<LogFollower['begin']>[1]) =>
  new LogFollower().begin(fixture.context.redis, past);

test('begin sets the position to the end, and returns the latest entries of all slices as they were written', async () => {
  const entries = [await write(3, 1), await write(0, 2), await write(3, 3), await write(1, 4)];
  expect(await begin()).toEqual({ entries: [], unreadable: 0 });
  expect(await begin(ALL)).toEqual({ entries, unreadable: 0 });
});

test('the past ends with a whole millisecond, and the next page begins before it', async () => {
  const { client, keys } = fixture.context.redis;
  const entries = Array.from(
    { length: 40 },
    (_, n): LogEntry => ({ atMs: n, droplet: 'a', kind: 'updated' }),
  );
  // Four entries each millisecond, one in each slice.
  for (const [n, entry] of entries.entries())
    await client.xadd(
      keys.decisions(n % 4),
      `${1000 + Math.floor(n / 4)}-${n % 4}`,
      'entry',
      JSON.stringify(entry),
    );
  const page = await begin({ count: 6, maxRead: 1_000 });
  expect(page).toEqual({ entries: entries.slice(-8), unreadable: 0, readFromMs: 1008 });
  const next = await begin({ count: 1_000, maxRead: 1_000, toMs: 1007, fromMs: 1001 });
  expect(next).toEqual({ entries: entries.slice(4, 32), unreadable: 0 });
});

test('a rare kind is searched only as far as the bound', async () => {
  const { client, keys } = fixture.context.redis;
  const many = client.pipeline();
  const text = JSON.stringify({ atMs: 6, droplet: 'other', kind: 'updated' });
  for (let n = 0; n < 1_200; n++) many.xadd(keys.decisions(2), `${n + 1}-0`, 'entry', text);
  await many.exec();
  const rare = await begin({ count: 1, selects: ({ kind }) => kind === 'giveup', maxRead: 700 });
  expect([rare.entries.length, rare.readFromMs]).toEqual([700, 501]);
  const whole = await begin({ count: 1, selects: ({ kind }) => kind === 'giveup', maxRead: 5_000 });
  expect([whole.entries.length, whole.readFromMs]).toEqual([1_200, undefined]);
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
