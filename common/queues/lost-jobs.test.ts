import { expect, test } from 'vitest';
import { useRedis } from '../testing/context.ts';
import { removeLostJobs } from './lost-jobs.ts';
import { openQueue, openWorker } from './queues.ts';
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

test('a job whose options and data are lost is removed when it ends', async () => {
  const { redis, lifecycle, log } = of.context;
  const queue = openQueue(redis, lifecycle, log, 'slices');
  for (const id of ['ends', 'fails']) {
    await queue.add('due', { slices: [1], audit: false }, { jobId: id });
    await redis.client.hdel(queue.toKey(id), 'data', 'opts');
  }
  openWorker(redis, lifecycle, log, 'slices', async ({ id }) => {
    if (id === 'fails') throw new Error('no data');
  });
  await expect.poll(() => redis.client.exists(queue.toKey('ends'), queue.toKey('fails'))).toBe(0);
});

test('a job that ended and is kept does not block its id', async () => {
  const { redis, lifecycle, log } = of.context;
  const queue = openQueue(redis, lifecycle, log, 'stops');
  await queue.add('due', {}, { jobId: 'kept', removeOnFail: false });
  await queue.add('due', {}, { jobId: 'waits' });
  await redis.client.lrem(queue.toKey('wait'), 0, 'kept');
  await redis.client.zadd(queue.toKey('failed'), 1, 'kept');
  expect(await removeLostJobs(redis.client, queue, ['kept', 'waits', 'gone'])).toEqual(['kept']);
});
