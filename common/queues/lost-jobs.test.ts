import { expect, test } from 'vitest';
import { useRedis } from '../testing/context.ts';
import { openQueue } from './queues.ts';
import { requestDueSync } from './sync-request.ts';

const of = useRedis();

test('a bulk sync is requested although the job of the one before is lost', async () => {
  const { redis, lifecycle, log } = of.context;
  const queue = openQueue(redis, lifecycle, log, 'sync');
  await requestDueSync(queue);
  await requestDueSync(queue);
  expect(await queue.getJobCountByTypes('waiting')).toBe(1);
  await redis.client.del(queue.toKey('wait'));
  await requestDueSync(queue);
  expect(await queue.getJobCountByTypes('waiting')).toBe(1);
});
