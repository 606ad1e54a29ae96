import { expect, test } from 'vitest';
import { defaultSettings } from '../config/settings.ts';
import { useRedis } from '../testing/context.ts';
import { createKeys, LAYOUT_VERSION } from './keys.ts';
import { adoptPrefix, claimPrefix, LayoutError, layoutProblem } from './layout.ts';

const of = useRedis();
const client = () => of.context.redis.client;
const settings = (partition = 'zone-1', host = 'http://api.example.com') => ({
  ...defaultSettings(),
  slices: 8,
  redisPrefix: 'hm',
  ccPartition: partition,
  bulkApi: { ...defaultSettings().bulkApi, host },
});
const { layout } = createKeys('hm', 8);
const refusal = (promise: Promise<void>) =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof LayoutError ? error.message : error),
  );

test('the first process stores whose data it is; later ones of the same deployment are accepted', async () => {
  expect(await layoutProblem(client(), settings())).toBeUndefined();
  expect(await client().exists(layout)).toBe(0);
  await claimPrefix(client(), settings());
  expect(await client().hgetall(layout)).toEqual({
    version: `${LAYOUT_VERSION}`,
    slices: '8',
    cc_partition: 'zone-1',
    controller: 'api.example.com',
  });
  await claimPrefix(client(), settings());
  await claimPrefix(client(), settings('zone-1', 'https://API.example.com/'));
});

test.each([
  [
    'partition',
    settings('zone-2'),
    'redis.prefix hm: expected cc_partition zone-1, for which this Redis was set up, found zone-2: ' +
      'use another redis.prefix, or run "hm adopt" if this deployment takes it over',
  ],
  [
    'controller',
    settings('zone-1', 'http://api.example.com:9022'),
    'redis.prefix hm: expected bulk_api.host api.example.com, for which this Redis was set up, found api.example.com:9022: ' +
      'use another redis.prefix, or run "hm adopt" if this deployment takes it over',
  ],
  [
    'number of slices',
    { ...settings(), slices: 9 },
    'slices: expected 8, with which this Redis was set up, found 9: set slices to 8, or use another redis.prefix',
  ],
])('another %s is refused, and changes nothing', async (_, other, problem) => {
  await claimPrefix(client(), settings());
  const before = await client().hgetall(layout);
  expect(await refusal(claimPrefix(client(), other))).toBe(problem);
  expect(await layoutProblem(client(), other)).toBe(problem);
  expect(await client().hgetall(layout)).toEqual(before);
});

test('another version of the layout is refused, and changes nothing', async () => {
  await client().hset(layout, { version: 99, slices: 8 });
  expect(await refusal(claimPrefix(client(), settings()))).toMatch(/expected layout \d+, found 99/);
  expect(await client().hgetall(layout)).toEqual({ version: '99', slices: '8' });
  await expect(adoptPrefix(client(), settings())).rejects.toThrow(/expected layout \d+, found 99/);
});

test('fields that are missing are stored again', async () => {
  await claimPrefix(client(), settings());
  await client().hdel(layout, 'controller', 'slices');
  await claimPrefix(client(), settings());
  expect(await client().hgetall(layout)).toMatchObject({ slices: '8', controller: 'api.example.com' });
});

test('a deployment that takes the prefix over is accepted afterwards, and the earlier one is refused', async () => {
  await claimPrefix(client(), settings());
  expect(await adoptPrefix(client(), settings('zone-2', 'http://other'))).toEqual({
    before: { partition: 'zone-1', controller: 'api.example.com' },
    after: { partition: 'zone-2', controller: 'other' },
  });
  await claimPrefix(client(), settings('zone-2', 'http://other'));
  expect(await refusal(claimPrefix(client(), settings()))).toContain('expected cc_partition zone-2');
});

test('of two deployments that start at once one is accepted', async () => {
  const results = await Promise.all(
    [settings('zone-1', 'http://a'), settings('zone-2', 'http://b')].map((each) =>
      refusal(claimPrefix(client(), each)),
    ),
  );
  expect(results.filter((result) => result === undefined)).toHaveLength(1);
});
