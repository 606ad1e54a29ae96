import { expect, test } from 'vitest';
import type { Droplet } from '../../model/droplet.ts';
import { useRedis } from '../../testing/context.ts';
import { readDroplets } from '../scripts/droplets/reads/read-droplets.ts';
import { readFleetFacts } from '../scripts/fleet/read-fleet-facts.ts';
import { readDeas, readWithDeas } from './readers.ts';
import { encodeInstance } from './record-codec.ts';
import { UnreadableRecord } from './record-error.ts';

const of = useRedis();

test('droplets are returned in the order of the ids; an unreadable one does not affect the others', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.droplet('a'), { rev: 1, seen: 5 });
  await client.hset(keys.droplet('bad'), { rev: 1, desired: 'edited' });
  await client.hset(keys.droplet('b'), { rev: 2, seen: 6 });
  await client.set(keys.droplet('other'), 'no hash');
  const [b, bad, none, a] = await readDroplets(redis, ['b', 'bad', 'none', 'a']);
  expect(b).toMatchObject({ id: 'b', rev: 2 });
  expect(bad).toBeInstanceOf(UnreadableRecord);
  expect(none).toBeUndefined();
  expect(a).toMatchObject({ id: 'a', rev: 1 });
  expect(await readDroplets(redis, [])).toEqual([]);
  const [wrong, still] = await readDroplets(redis, ['other', 'a']);
  expect(wrong).toBeInstanceOf(Error);
  expect(still).toMatchObject({ id: 'a' });
});

test('the DEAs of the instances are returned', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.zadd(keys.deasLastHeartbeat, 5000, 'd1', 6000, 'd2', 7000, 'd3');
  await client.zadd(keys.deasPreviousHeartbeat, 4000, 'd1');
  const droplet = (...deas: string[]) => ({ instances: deas.map((dea) => ({ dea })) }) as Droplet;
  expect(await readDeas(redis, [droplet('d1', 'd2'), droplet('d1', 'unknown'), droplet()])).toEqual(
    new Map([
      ['d1', { lastHeartbeatMs: 5000, previousHeartbeatMs: 4000 }],
      ['d2', { lastHeartbeatMs: 6000 }],
    ]),
  );
  expect(await readDeas(redis, [droplet()])).toEqual(new Map());
});

test('droplets are read with the DEAs of their instances, which may have any name', async () => {
  const { redis, clock } = of.context;
  const { client, keys } = redis;
  const dea = 'dea 1/ü%';
  const listed = (index: number, on: string) =>
    encodeInstance({
      guid: '',
      index,
      version: 'v',
      state: 'RUNNING',
      stateTimestampS: 1,
      dea: on,
      firstListedMs: 5,
    });
  await client.hset(keys.droplet('one'), { rev: 1, seen: 5, 'instance:i': listed(0, dea) });
  await client.hset(keys.droplet('two'), {
    rev: 2,
    seen: 5,
    'instance:j': listed(0, 'b'),
    'instance:k': listed(1, 'c'),
  });
  await client.hset(keys.droplet('alone'), { rev: 3, seen: 5, 'instance:l': listed(0, 'unknown') });
  await client.set(keys.droplet('bad'), 'no hash');
  const ids = ['two', 'bad', 'none', 'one', 'alone'];
  await client.zadd(keys.deasLastHeartbeat, 5000, dea, 6000, 'b', 7000, 'c', 8000, 'another');
  await client.zadd(keys.deasPreviousHeartbeat, 4000, dea, 5500, 'b');
  const { droplets, deas, nowMs } = await readWithDeas(redis, clock, ids);
  expect(droplets.map((droplet) => (droplet instanceof Error ? 'error' : droplet?.rev))).toEqual([
    2,
    'error',
    undefined,
    1,
    3,
  ]);
  expect(nowMs).toBe(clock.nowMs());
  expect([...deas].sort()).toEqual([
    ['b', { lastHeartbeatMs: 6000, previousHeartbeatMs: 5500 }],
    ['c', { lastHeartbeatMs: 7000 }],
    [dea, expect.objectContaining({ lastHeartbeatMs: 5000 })],
  ]);
  // Many are read in two round trips.
  const many = await readWithDeas(redis, clock, [
    ...ids,
    ...Array.from({ length: 30 }, (_, n) => `none-${n}`),
  ]);
  expect(many.droplets).toEqual([...droplets, ...Array.from({ length: 30 }, () => undefined)]);
  expect([...many.deas].sort()).toEqual([...deas].sort());
  expect(await readWithDeas(redis, clock, [])).toMatchObject({ droplets: [], deas: new Map() });
});

test('an empty Redis has no facts', async () => {
  expect(await readFleetFacts(of.context.redis)).toEqual({});
});

test('the facts of the fleet', async () => {
  const { redis } = of.context;
  const { client, keys } = redis;
  await client.hset(keys.listening, { since: 1, until: 2, loss_possible_until: 10 });
  await client.zadd(keys.watermarks, 7, 'quick', 3, 'slow');
  await client.hset(keys.syncState, { completed: 4, succeeded: 5, pass: 9 });
  await client.hset(keys.holds, { mass_loss: '{"a":1}', mass_delete: '{"b":2}', mass_loss_evaluated: '8 9' });
  expect(await readFleetFacts(redis)).toEqual({
    listening: { sinceMs: 1, untilMs: 2 },
    lowestWatermarkMs: 3,
    lossPossibleUntilMs: 10,
    pass: { begunMs: 4, succeededMs: 5 },
    massLoss: '{"a":1}',
    massLossEvaluated: { sinceMs: 8, untilMs: 9 },
    massDelete: '{"b":2}',
  });
});

test('a pass that was not completed does not count', async () => {
  const { redis } = of.context;
  await redis.client.hset(redis.keys.syncState, { pass: 9, begun: 4, owner: 'a', failed: 5 });
  expect(await readFleetFacts(redis)).toEqual({});
});
