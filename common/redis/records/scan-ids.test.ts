import { expect, test } from 'vitest';
import { useRedis } from '../../testing/context.ts';
import { createKeys } from '../keys.ts';
import { scanIds } from './scan-ids.ts';

const of = useRedis();

test('all records of the prefix are found, without the index; other keys are not', async () => {
  const { redis } = of.context;
  const { client } = redis;
  const ids = Array.from({ length: 1500 }, (_, n) => `app-${n}`).concat('}:droplet:of');
  const all = [redis.keys, createKeys('a[b]*', redis.keys.slices)];
  for (const keys of all) await Promise.all(ids.map((id) => client.hset(keys.droplet(id), 'rev', 1)));
  await client.set(redis.keys.due(0), 'other');
  for (const keys of all) {
    const found = new Set<string>();
    for await (const some of scanIds({ ...redis, keys })) for (const id of some) found.add(id);
    expect([...found].sort()).toEqual([...ids].sort());
  }
});
