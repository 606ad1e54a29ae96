import { expect, test } from 'vitest';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const SETTINGS =
  'slices: 4\ncc_partition: zone-2\nbulk_api: { host: "https://user:hidden@cc.example.com" }\n';

const layout = () => fixture.context.redis.client.hgetall(fixture.context.redis.keys.layout);
const store = (fields: object) =>
  fixture.context.redis.client.hset(fixture.context.redis.keys.layout, fields as Record<string, string>);

test('adopt takes the prefix over from another deployment, whose processes have ended', async () => {
  const { client, keys } = fixture.context.redis;
  await store({ cc_partition: 'zone-1', controller: 'old.example.com' });
  await client.hset(keys.listening, 'until', fixture.context.clock.nowMs() - 60_000);
  expect(await fixture.hm(['adopt'], SETTINGS)).toEqual({
    code: 0,
    stdout: [
      'redis.prefix hm belonged to cc_partition zone-1, controller old.example.com',
      'redis.prefix hm belongs to cc_partition zone-2, controller cc.example.com',
    ],
    stderr: '',
  });
  expect(await layout()).toMatchObject({ cc_partition: 'zone-2', controller: 'cc.example.com' });
});

test('adopt fails while a process of that prefix runs, and writes nothing', async () => {
  await store({ cc_partition: 'zone-1', controller: 'old.example.com' });
  const before = await fixture.dumpRedis();
  expect(await fixture.hm(['adopt'], SETTINGS)).toEqual({
    code: 1,
    stdout: [],
    stderr:
      'hm: redis.prefix hm is in use: an ingestor has written its watermark just now. ' +
      'Stop every process of the earlier deployment first\n',
  });
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('adopt does not help against another number of slices', async () => {
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.listening, 'until', fixture.context.clock.nowMs() - 60_000);
  const { code, stderr } = await fixture.hm(['adopt'], 'slices: 5\n');
  expect(code).toBe(78);
  expect(stderr).toContain('slices: expected 4');
});
