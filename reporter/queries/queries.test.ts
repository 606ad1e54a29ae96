import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import { desired, droplet, exit, instance, NOW, SECOND, slot } from '../../common/testing/builders.ts';
import { metricValue } from '../../common/testing/context.ts';
import { ask, type Bench, startBench, store } from '../../deploy/verify/fixtures/reporter.ts';

const { statusRequest: STATUS, healthRequest: HEALTH, dropletRequest: DROPLET } = SUBJECTS;
const NOW_S = NOW / 1000;

let bench: Bench;

beforeAll(async () => {
  bench = await startBench(NOW);
  const { redis } = bench.context;
  await redis.client.zadd(
    redis.keys.deasLastHeartbeat,
    NOW - 2 * SECOND,
    'dea-1',
    NOW - 31 * SECOND,
    'dea-silent',
  );
  const records = [
    droplet({
      id: 'app',
      desired: desired({ instances: 3 }),
      instances: [
        instance('r0'),
        instance('r0-twin'),
        instance('s1', { index: 1, state: 'STARTING' }),
        instance('surplus', { index: 3 }),
        instance('old', { index: 2, version: 'v0' }),
      ],
    }),
    droplet({ id: '42', instances: [instance('i42')] }),
    droplet({ id: 'silent', instances: [instance('quiet', { dea: 'dea-silent' })] }),
    droplet({ id: 'exited', instances: [instance('over')], exits: [exit('over', { reason: 'STOPPED' })] }),
    droplet({ id: 'only-listed', desired: undefined, instances: [instance('stray')] }),
    droplet({ id: 'stopped', desired: desired({ state: 'STOPPED' }), instances: [] }),
    droplet({ id: 'only-updated', desired: undefined, updatedMs: NOW }),
    droplet({ id: '__proto__', instances: [instance('constructor', { version: '__proto__' })] }),
    droplet({
      id: 'crashing',
      desired: desired({ instances: 4 }),
      instances: [
        instance('i3', { index: 3 }),
        instance('ghost', { index: 1, state: 'CRASHED', stateTimestampS: NOW_S - 7.5 }),
        instance('ghost-forgotten', { index: 1, state: 'CRASHED', lastListedMs: NOW - 501 * SECOND }),
      ],
      exits: [
        exit('i1', { index: 1, atMs: NOW - 9 * SECOND, crashTimestampS: NOW_S - 10 }),
        exit('i-old', { index: 1, atMs: NOW - 501 * SECOND }),
        exit('i-stopped', { index: 2, atMs: NOW, reason: 'STOPPED' }),
      ],
      slots: [
        slot({ index: 0, version: 'v0', crashes: 3, flapping: true, lastCrashMs: NOW - SECOND }),
        slot({ index: 1, crashes: 3, flapping: true, lastCrashMs: NOW - 8_999 }),
        slot({ index: 2, crashes: 1, lastCrashMs: NOW - SECOND }),
        slot({ index: 3, crashes: 3, flapping: true, lastCrashMs: NOW - 60 * SECOND }),
        slot({ index: 4, crashes: 3, flapping: true, lastCrashMs: NOW - SECOND }),
      ],
    }),
  ];
  for (const record of records) await store(redis, record);
});
afterAll(() => bench.stop());

describe('healthmanager.health', () => {
  const health = (...droplets: unknown[]) => ask(bench, HEALTH, { droplets });

  test.each([
    ['counts indices with a live RUNNING instance', 'app', 'v1', 1],
    ['only of the version in the query', 'app', 'v0', 1],
    ['0 for a version without instances', 'app', 'v9', 0],
    ['not an instance on a silent DEA', 'silent', 'v1', 0],
    ['not an instance that has exited', 'exited', 'v1', 0],
    ['0 for a droplet that is not desired', 'only-listed', 'v1', 0],
    ['0 for a droplet without instances', 'stopped', 'v1', 0],
    ['any id', '__proto__', '__proto__', 1],
  ])('%s', async (_name, id, version, count) => {
    expect(await health({ droplet: id, version })).toEqual([{ droplet: id, version, healthy: count }]);
  });

  test('one reply for each known droplet; none for others', async () => {
    const replies = await health(
      { droplet: 'app', version: 'v1' },
      { droplet: 'nobody', version: 'v1' },
      { droplet: 'only-updated', version: 'v1' },
      { droplet: 42, version: 'v1' },
      { droplet: 'app', version: 'v0' },
    );
    expect(replies).toEqual([
      { droplet: 'app', version: 'v1', healthy: 1 },
      { droplet: '42', version: 'v1', healthy: 1 },
      { droplet: 'app', version: 'v0', healthy: 1 },
    ]);
  });

  test('the good entries of a partly bad request are answered, the others counted', async () => {
    const before = await metricValue(bench.context.metrics, 'hm_messages_rejected_total', {
      subject: HEALTH,
    });
    const replies = await health(
      null,
      { droplet: '', version: 'v1' },
      { droplet: 'app', version: 'v1' },
      { droplet: 'app' },
    );
    expect(replies).toEqual([{ droplet: 'app', version: 'v1', healthy: 1 }]);
    const after = await metricValue(bench.context.metrics, 'hm_messages_rejected_total', { subject: HEALTH });
    expect(after - before).toBe(3);
  });

  test('many droplets at once, in their order', async () => {
    const asked = Array.from({ length: 3_000 }, (_, n) => ({
      droplet: n % 3 === 0 ? 'app' : `nobody-${n}`,
      version: `v${n}`,
    }));
    const replies = (await health(...asked)) as { version: string }[];
    expect(replies.map(({ version }) => version)).toEqual(
      asked.filter((_, n) => n % 3 === 0).map(({ version }) => version),
    );
  });
});

describe('healthmanager.status', () => {
  test.each([
    ['FLAPPING', 'v1', { indices: [{ index: 1, since: Math.floor(NOW_S - 9) }] }],
    ['FLAPPING', 'v0', { indices: [] }],
    [
      'CRASHED',
      undefined,
      {
        instances: [
          { instance: 'ghost', since: NOW_S - 7.5 },
          { instance: 'i1', since: NOW_S - 10 },
        ],
      },
    ],
  ])('%s of version %s', async (state, version, reply) => {
    expect(await ask(bench, STATUS, { droplet: 'crashing', state, version })).toEqual([reply]);
  });

  test('nothing to report is a reply too', async () => {
    expect(await ask(bench, STATUS, { droplet: 42, state: 'FLAPPING', version: 'v1' })).toEqual([
      { indices: [] },
    ]);
    expect(await ask(bench, STATUS, { droplet: 42, state: 'CRASHED' })).toEqual([{ instances: [] }]);
  });

  test('crashes are left out after flapping_timeout', async () => {
    bench.clock.set(NOW + 600 * SECOND);
    try {
      const replies = await ask(bench, STATUS, { droplet: 'crashing', state: 'CRASHED' });
      expect(replies).toEqual([{ instances: [] }]);
    } finally {
      bench.clock.set(NOW);
    }
  });
});

describe('healthmanager.droplet', () => {
  const ofDroplet = (...droplets: unknown[]) => ask(bench, DROPLET, { droplets });

  test('the whole record', async () => {
    const [reply] = await ofDroplet({ droplet: 'crashing' });
    expect(reply).toEqual({
      droplet: 'crashing',
      firstSeenMs: NOW - 3600 * SECOND,
      desired: {
        state: 'STARTED',
        package_state: 'STAGED',
        instances: 4,
        version: 'v1',
        memory: 256,
        updated_at: 1_398_000_000,
      },
      missing_indices: [0, 1, 2],
      versions: {
        v1: {
          instances: {
            i3: expect.objectContaining({
              index: 3,
              state: 'RUNNING',
              dea: 'dea-1',
              lastListedMs: NOW - 2 * SECOND,
              live: true,
            }),
            ghost: expect.objectContaining({ state: 'CRASHED', live: false }),
            'ghost-forgotten': expect.objectContaining({
              state: 'CRASHED',
              lastListedMs: NOW - 501 * SECOND,
            }),
          },
        },
      },
      crashes: {
        ghost: { index: 1, version: 'v1', crash_timestamp: NOW_S - 7.5 },
        i1: { index: 1, version: 'v1', crash_timestamp: NOW_S - 10 },
      },
      exits: expect.objectContaining({
        'i-stopped': { index: 2, version: 'v1', reason: 'STOPPED', receivedMs: NOW },
      }),
      slots: expect.objectContaining({
        1: { version: 'v1', crashes: 3, flapping: true, given_up: false, lastCrashMs: NOW - 8_999 },
      }),
      pending_starts: [],
      pending_restarts: [],
      pending_stops: {},
      held_stops: {},
    });
  });

  test('pending starts, restarts and stops', async () => {
    const start = { priority: 'normal', decidedMs: NOW - 5 * SECOND } as const;
    await store(
      bench.context.redis,
      droplet({
        id: 'pending',
        desired: desired({ instances: 2 }),
        slots: [
          slot({ start: { ...start, id: 'd1', reason: 'missing' } }),
          slot({ index: 1, start: { ...start, id: 'd2', reason: 'flapping', dueMs: NOW + 60 * SECOND } }),
        ],
        stops: [
          { instance: 'x', id: 'd3', reason: 'extra_index', decidedMs: NOW },
          { instance: 'y', id: 'd4', reason: 'extra_app', decidedMs: NOW, held: 'mass_delete' },
        ],
        outcomes: [{ id: 'd1', outcome: 'sent', atMs: NOW - SECOND }],
      }),
    );
    const [reply] = await ofDroplet({ droplet: 'pending' });
    expect(reply).toMatchObject({
      pending_starts: [
        { index: 0, version: 'v1', reason: 'missing', decidedMs: NOW - 5 * SECOND, sentMs: NOW - SECOND },
      ],
      pending_restarts: [{ index: 1, version: 'v1', dueMs: NOW + 60 * SECOND }],
      pending_stops: { x: { reason: 'extra_index', decidedMs: NOW } },
      held_stops: { y: { reason: 'extra_app', hold: 'mass_delete' } },
    });
  });

  test('an id may be the name of a built-in property', async () => {
    const [reply] = (await ofDroplet({ droplet: '__proto__' })) as [{ versions: object }];
    const versions = Object.entries(reply.versions);
    expect(versions).toEqual([
      ['__proto__', { instances: { constructor: expect.objectContaining({ live: true }) } }],
    ]);
  });

  test('one reply for each known droplet, by string or integer', async () => {
    const replies = await ofDroplet({ droplet: 42 }, { droplet: 'nobody' }, { droplet: 'stopped' }, 'app', {
      droplet: 1.5,
    });
    expect(replies).toMatchObject([{ droplet: '42' }, { droplet: 'stopped' }]);
  });
});

describe('no reply', () => {
  test.each([
    ['to a status of an unknown droplet', STATUS, { droplet: 'nobody', state: 'CRASHED' }, 'unknown'],
    [
      'to a status of a droplet with only an update',
      STATUS,
      { droplet: 'only-updated', state: 'CRASHED' },
      'unknown',
    ],
    ['to another state', STATUS, { droplet: 'app', state: 'RUNNING', version: 'v1' }, 'rejected'],
    ['to FLAPPING without a version', STATUS, { droplet: 'app', state: 'FLAPPING' }, 'rejected'],
    ['to a status without a droplet', STATUS, { state: 'CRASHED' }, 'rejected'],
    ['to what is no JSON', HEALTH, '{"droplets":[', 'rejected'],
    ['to what is no UTF-8', HEALTH, new Uint8Array([0x22, 0xff, 0x22]), 'rejected'],
    ['to what is no object', HEALTH, '[]', 'rejected'],
    ['to an empty message', DROPLET, '', 'rejected'],
    ['to no list', DROPLET, { droplets: 'app' }, 'rejected'],
    ['to an empty list', DROPLET, { droplets: [] }, 'unknown'],
    ['to too long a list', DROPLET, { droplets: new Array(10_001).fill({ droplet: 'app' }) }, 'rejected'],
  ])('%s', async (_name, subject, payload, outcome) => {
    const before = await metricValue(bench.context.metrics, 'hm_queries_total', { subject, outcome });
    expect(await ask(bench, subject, payload)).toEqual([]);
    expect(await metricValue(bench.context.metrics, 'hm_queries_total', { subject, outcome })).toBe(
      before + 1,
    );
  });

  test('a query that is not valid is logged, at most once a second for each reason', async () => {
    const lines = () =>
      bench.context.lines.filter(
        ({ event, subject, reason }) =>
          event === 'message_rejected' && subject === DROPLET && reason === 'json',
      );
    const asked = 50;
    for (let n = 0; n < asked; n++) await ask(bench, DROPLET, '{');
    expect(lines().length).toBeGreaterThanOrEqual(1);
    expect(lines().length).toBeLessThan(asked / 2);
  });

  test('to a query without a reply subject', async () => {
    const count = () =>
      metricValue(bench.context.metrics, 'hm_queries_total', { outcome: 'no_reply_subject' });
    const before = await count();
    bench.bus.publish(HEALTH, JSON.stringify({ droplets: [{ droplet: 'app', version: 'v1' }] }));
    await expect.poll(count).toBe(before + 1);
  });

  test('about a record that cannot be read; others are answered', async () => {
    const { client, keys } = bench.context.redis;
    await client.hset(keys.droplet('spoilt'), 'desired', 'as I like it');
    const replies = await ask(bench, DROPLET, { droplets: [{ droplet: 'spoilt' }, { droplet: 'stopped' }] });
    expect(replies).toMatchObject([{ droplet: 'stopped' }]);
    expect(bench.context.lines).toContainEqual(
      expect.objectContaining({ event: 'unreadable_record', droplet: 'spoilt' }),
    );
    await client.del(keys.droplet('spoilt'));
  });
});

test('an id that occurs several times in a query is answered once', async () => {
  const twice = (entry: object) => ({ droplets: Array.from({ length: 50 }, () => entry) });
  expect(await ask(bench, HEALTH, twice({ droplet: '42', version: 'v1' }))).toHaveLength(1);
  expect(await ask(bench, DROPLET, twice({ droplet: '42' }))).toHaveLength(1);
});

test('a reply that exceeds max_payload is left out and counted; the others are sent', async () => {
  const { context } = bench;
  const crashes = Array.from({ length: 12_000 }, (_, n) => exit(`${'x'.repeat(60)}-${n}`, { n: n + 1 }));
  await store(context.redis, droplet({ id: 'huge', exits: crashes }));
  const replies = await ask(bench, DROPLET, { droplets: [{ droplet: 'huge' }, { droplet: '42' }] });
  expect(replies).toMatchObject([{ droplet: '42' }]);
  expect(await metricValue(context.metrics, 'hm_query_replies_oversized_total', { subject: DROPLET })).toBe(
    1,
  );
  expect(context.lines).toContainEqual(
    expect.objectContaining({ event: 'reply_too_large', droplet: 'huge' }),
  );
});

test('queries are counted by kind for the whole deployment', async () => {
  const { reporter, context } = bench;
  const { client, keys } = context.redis;
  const counts = async () => {
    await reporter.counters.flush();
    const kinds = ['status', 'health_request', 'droplet_request'];
    const values = await client.hmget(
      keys.counters,
      ...kinds.map((kind) => `healthmanager_${kind}_msgs_received`),
    );
    return values.map(Number);
  };
  const before = await counts();
  await ask(bench, STATUS, '{');
  await ask(bench, STATUS, { droplet: 'app', state: 'CRASHED' });
  await ask(bench, STATUS, { droplet: 'app', state: 'CRASHED' });
  await ask(bench, HEALTH, { droplets: [{ droplet: 'app', version: 'v1' }] });
  await ask(bench, DROPLET, { droplets: [{ droplet: 'app' }] });
  await ask(bench, DROPLET, { droplets: [{ droplet: 'nobody' }] });
  const after = await counts();
  expect(after.map((count, at) => count - (before[at] ?? 0))).toEqual([3, 1, 2]);
});

test('a query changes nothing', async () => {
  const { client, keys } = bench.context.redis;
  const dropletKeys = async () => (await client.keys('*')).filter((key) => key !== keys.counters).sort();
  const before = await dropletKeys();
  await ask(bench, STATUS, { droplet: 'new-1', state: 'FLAPPING', version: 'v1' });
  await ask(bench, HEALTH, { droplets: [{ droplet: 'new-2', version: 'v1' }] });
  await ask(bench, DROPLET, { droplets: [{ droplet: 'new-3' }] });
  expect(await dropletKeys()).toEqual(before);
});
