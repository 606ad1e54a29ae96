import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import { desired, droplet, instance, NOW, SECOND, slot } from '../../common/testing/builders.ts';
import { ask, type Bench, STATUS, startBench, store } from '../../deploy/verify/fixtures/reporter.ts';

const { appState: ONE, appStateBulk: BULK } = SUBJECTS;
let bench: Bench;

beforeAll(async () => {
  bench = await startBench(NOW, STATUS, 'hm9000-nats');
  const { redis } = bench.context;
  await redis.client.zadd(
    redis.keys.deasLastHeartbeat,
    NOW - 2 * SECOND,
    'dea-1',
    NOW - 31 * SECOND,
    'silent',
  );
  const records = [
    droplet({
      id: 'app',
      desired: desired({ instances: 3 }),
      instances: [
        instance('runs', { stateTimestampS: 1_398_000_000 }),
        instance('starts', { index: 1, state: 'STARTING' }),
        instance('lost', { index: 2, dea: 'silent' }),
        instance('old', { version: 'v0' }),
        instance('crashed', { index: 2, state: 'CRASHED' }),
        instance('crashed-before', { index: 2, state: 'CRASHED', lastListedMs: NOW - SECOND }),
      ],
      slots: [
        slot({ index: 2, crashes: 3, lastCrashMs: NOW - 9_500 }),
        slot({ index: 1, version: 'v0', crashes: 1 }),
      ],
    }),
    droplet({ id: 'idle', desired: desired({ state: 'STOPPED' }) }),
  ];
  for (const record of records) await store(redis, record);
});
afterAll(() => bench.stop());

/** Fresh heartbeats and a complete pass, so that no hold is on. */
beforeEach(async () => {
  const { client, keys } = bench.context.redis;
  await client.hset(keys.listening, { since: NOW - 600 * SECOND, until: NOW });
  await client.hset(keys.syncState, { completed: NOW, succeeded: NOW });
});

const listed = (guid: string, index: number, state: string) =>
  expect.objectContaining({ droplet: 'app', version: 'v1', instance: guid, index, state, dea_guid: 'dea-1' });
const APP = {
  droplet: 'app',
  version: 'v1',
  instance_heartbeats: [
    listed('runs', 0, 'RUNNING'),
    listed('starts', 1, 'STARTING'),
    listed('crashed', 2, 'CRASHED'),
  ],
  crash_counts: [
    {
      droplet: 'app',
      version: 'v1',
      instance_index: 2,
      crash_count: 3,
      created_at: Math.floor((NOW - 9_500) / 1000),
    },
  ],
};
const IDLE = { droplet: 'idle', version: 'v1', instance_heartbeats: [], crash_counts: [] };

describe('app.state', () => {
  test('lists the instances of that version that its DEAs report, and the crashes of its slots', async () => {
    expect(await ask(bench, ONE, { droplet: 'app', version: 'v1' })).toEqual([APP]);
  });

  test.each([
    ['nobody', 'v1'],
    ['app', 'v9'],
  ])('of the unknown app or version %s %s is answered with an empty object', async (id, version) => {
    expect(await ask(bench, ONE, { droplet: id, version })).toEqual([{}]);
  });

  test('that is no question is not answered', async () => {
    expect(await ask(bench, ONE, { droplet: 'app' })).toEqual([]);
  });
});

describe('app.state.bulk', () => {
  test('is answered by one map, without unknown apps', async () => {
    const asked = ['app', 'nobody', 'idle', 'app'].map((id) => ({ droplet: id, version: 'v1' }));
    expect(await ask(bench, BULK, asked)).toEqual([{ app: APP, idle: IDLE }]);
  });

  test.each([
    ['nothing', []],
    ['only invalid entries', [null, { droplet: 'app' }]],
  ])('of %s is answered with an empty object', async (_, asked) => {
    expect(await ask(bench, BULK, asked)).toEqual([{}]);
  });

  test('that is no list is not answered', async () => {
    expect(await ask(bench, BULK, { droplets: [] })).toEqual([]);
  });
});

describe('what is not known is never answered with zeros', () => {
  test.each([
    ['no heartbeats were received for a while', 'listening', { until: NOW - 60 * SECOND }],
    [
      'the desired state is too old',
      'syncState',
      { completed: NOW - 400 * SECOND, succeeded: NOW - 400 * SECOND },
    ],
  ] as const)('while %s', async (_, key, fields) => {
    const { client, keys } = bench.context.redis;
    await client.hset(keys[key], fields);
    expect(await ask(bench, ONE, { droplet: 'app', version: 'v1' })).toEqual([{}]);
    expect(await ask(bench, BULK, [{ droplet: 'idle', version: 'v1' }])).toEqual([{}]);
  });
});

describe('POST /bulk_app_state', () => {
  let http: Bench;
  beforeAll(async () => {
    http = await startBench(NOW, STATUS, 'hm9000-http');
    const { client, keys } = http.context.redis;
    await client.hset(keys.listening, { since: NOW - 600 * SECOND, until: NOW });
    await client.hset(keys.syncState, { completed: NOW, succeeded: NOW });
    await store(http.context.redis, droplet({ id: 'idle', desired: desired({ state: 'STOPPED' }) }));
  });
  afterAll(() => http.stop());

  const post = async (body: string, login = `${STATUS.user}:${STATUS.password}`) => {
    const reply = await fetch(`http://127.0.0.1:${http.reporter.port}/bulk_app_state`, {
      ...{ method: 'POST', body },
      headers: {
        authorization: `Basic ${Buffer.from(login).toString('base64')}`,
        'content-type': 'application/json',
      },
    });
    return [reply.status, reply.status === 401 ? '' : await reply.json()];
  };

  test('is answered by the same map', async () => {
    const asked = ['idle', 'nobody'].map((id) => ({ droplet: id, version: 'v1' }));
    expect(await post(JSON.stringify(asked))).toEqual([200, { idle: IDLE }]);
  });

  test('of no list is refused', async () => {
    expect(await post('{}')).toEqual([400, { error: 'expected a list of {droplet, version}: no list' }]);
  });

  test('without the login is refused', async () => {
    expect(await post('[]', 'somebody:else')).toEqual([401, '']);
  });

  test('is not there in other dialects', async () => {
    const url = `http://127.0.0.1:${bench.reporter.port}/bulk_app_state`;
    const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
    const reply = await fetch(url, { method: 'POST', headers: { authorization } });
    expect(reply.status).toBe(404);
  });
});
