import { expect, test } from 'vitest';
import type { Droplet } from './droplet.ts';
import { RecordError } from './record.ts';
import { readDeas, readDroplets, readFleetFacts } from './state.ts';
import { useRedis } from './testing/context.ts';

const of = useRedis();

test('droplets come in the order asked for; an unreadable one does not hurt the others', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.droplet('a'), { rev: 1, seen: 5 });
  await client.hset(keys.droplet('bad'), { rev: 1, desired: 'edited' });
  await client.hset(keys.droplet('b'), { rev: 2, seen: 6 });
  await client.set(keys.droplet('other'), 'no hash');
  const [b, bad, none, a] = await readDroplets(redis, ['b', 'bad', 'none', 'a']);
  expect(b).toMatchObject({ id: 'b', rev: 2 });
  expect(bad).toBeInstanceOf(RecordError);
  expect(none).toBeUndefined();
  expect(a).toMatchObject({ id: 'a', rev: 1 });
  expect(await readDroplets(redis, [])).toEqual([]);
  const [wrong, still] = await readDroplets(redis, ['other', 'a']);
  expect(wrong).toBeInstanceOf(Error);
  expect(still).toMatchObject({ id: 'a' });
});

test('the DEAs are those that the droplets name', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.zadd(keys.deasHeard, 5000, 'd1', 6000, 'd2', 7000, 'd3');
  await client.zadd(keys.deasPrevious, 4000, 'd1');
  const droplet = (...deas: string[]) => ({ instances: deas.map((dea) => ({ dea })) }) as Droplet;
  expect(await readDeas(redis, [droplet('d1', 'd2'), droplet('d1', 'unheard'), droplet()])).toEqual(
    new Map([
      ['d1', { heardMs: 5000, previousMs: 4000 }],
      ['d2', { heardMs: 6000 }],
    ]),
  );
  expect(await readDeas(redis, [droplet()])).toEqual(new Map());
});

test('of an empty Redis there are no facts', async () => {
  expect(await readFleetFacts(of.context.redis)).toEqual({});
});

test('the facts of the fleet', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.listening, { since: 1, until: 2 });
  await client.zadd(keys.ingestors, 7, 'quick', 3, 'slow');
  await client.hset(keys.syncState, { completed: 4, succeeded: 5, pass: 9 });
  await client.hset(keys.holds, { mass_loss: '{"a":1}', mass_delete: '{"b":2}' });
  expect(await readFleetFacts(redis)).toEqual({
    listening: { sinceMs: 1, untilMs: 2 },
    mostSilentIngestorMs: 3,
    pass: { begunMs: 4, succeededMs: 5 },
    massLoss: '{"a":1}',
    massDelete: '{"b":2}',
  });
});

test('a pass that began and was not completed is none', async () => {
  const { redis } = of.context;
  await redis.client.hset(redis.keys.syncState, { pass: 9, begun: 4, owner: 'a', failed: 5 });
  expect(await readFleetFacts(redis)).toEqual({});
});
