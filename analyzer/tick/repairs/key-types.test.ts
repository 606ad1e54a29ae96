import { expect, test } from 'vitest';
import { typedQueueKeys } from '../../../common/queues/queue-keys.ts';
import { typedItemKeys, typedKeys } from '../../../common/redis/key-types.ts';
import type { KeyType } from '../../../common/redis/schema.ts';
import { createRateLimit } from '../../../common/runtime/log/log.ts';
import { metricValue, useRedis } from '../../../common/testing/context.ts';
import { analyzerMetrics } from '../../metrics.ts';
import { repairKeyTypes } from './key-types.ts';

const of = useRedis({ settings: { slices: 2 } });

const repair = () => {
  const { redis, log, metrics } = of.context;
  metrics.clear();
  return repairKeyTypes({ redis, limited: createRateLimit(log), metrics: analyzerMetrics(metrics) });
};

const all = () => {
  const { keys } = of.context.redis;
  return [
    ...typedKeys(keys),
    ...typedQueueKeys(keys.queuePrefix),
    ...typedItemKeys(keys, ['dea-1', 'dea-2'], 2),
  ];
};

/** Makes a key of this type by hand. */
function write(key: string, type: KeyType): Promise<unknown> {
  const { client } = of.context.redis;
  const writes: Record<KeyType, () => Promise<unknown>> = {
    hash: () => client.hset(key, 'field', 'value'),
    zset: () => client.zadd(key, 1, 'member'),
    set: () => client.sadd(key, 'member'),
    list: () => client.rpush(key, 'entry'),
    stream: () => client.xadd(key, '*', 'field', 'value'),
    string: () => client.set(key, 'value'),
  };
  return writes[type]();
}

test('keys of the right types stay', async () => {
  for (const [key, type] of all()) await write(key, type);
  expect(await repair()).toEqual([]);
  expect(await of.context.redis.client.exists(...all().map(([key]) => key))).toBe(all().length);
  expect(await metricValue(of.context.metrics, 'hm_repairs_total', { what: 'key_type' })).toBe(0);
});

test('every key that somebody gave another type is removed, counted and logged', async () => {
  const { client, keys } = of.context.redis;
  for (const [key, type] of all()) await write(key, type === 'string' ? 'hash' : 'string');
  const first = await repair();
  // The DEAs and pages are known again once the keys that name them have their types.
  await client.zadd(keys.deasLastHeartbeat, 1, 'dea-1', 2, 'dea-2');
  await client.hset(keys.syncState, 'pages', 2);
  const removed = [...first, ...(await repair())];
  expect(removed.sort()).toEqual(
    all()
      .map(([key]) => key)
      .sort(),
  );
  expect(await metricValue(of.context.metrics, 'hm_repairs_total', { what: 'key_type' })).toBe(4);
  expect(of.context.lines).toContainEqual(
    expect.objectContaining({ event: 'state_repaired', what: 'key_type', count: first.length }),
  );
});
