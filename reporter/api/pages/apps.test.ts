import { beforeEach, describe, expect, test } from 'vitest';
import type { Holds } from '../../../common/model/droplet.ts';
import { readWithDeas } from '../../../common/redis/records/readers.ts';
import { desired, droplet, instance, NOW, SECOND, SETTINGS, slot } from '../../../common/testing/builders.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { type AppQuery, readAppPage } from '../../../common/views/apps/app-list.ts';
import { store } from '../../../deploy/verify/fixtures/reporter.ts';
import { sharedIds } from './shared-ids.ts';

const of = useRedis();
const HOLDS: Holds = {
  ...{ desiredUnavailable: false, actualNotFresh: false, massDelete: false, massLossDeas: new Set() },
  heartbeatWatermarkMs: NOW,
  massLossEvaluated: { sinceMs: 0, untilMs: NOW },
  lastPassBegunMs: NOW - SECOND,
};

function read(query: Partial<AppQuery>) {
  const { redis } = of.context;
  const reader = { read: (ids: readonly string[]) => readWithDeas(redis, { nowMs: () => NOW }, ids) };
  const sources = { redis, reader, holds: HOLDS, workers: { noNudger: false }, policy: SETTINGS };
  return readAppPage(sources, { sort: 'guid', limit: 50, ...query });
}
const ids = async (query: Partial<AppQuery>) => (await read(query)).apps.map((app) => app.droplet);

/** All pages one after the other. */
async function pages(query: Partial<AppQuery>): Promise<string[][]> {
  const found: string[][] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await read({ ...query, ...(cursor !== undefined && { cursor }) });
    found.push(page.apps.map((app) => app.droplet));
    cursor = page.cursor;
    if (cursor === undefined) return found;
  }
}

beforeEach(async () => {
  const { redis } = of.context;
  await redis.client.zadd(redis.keys.deasLastHeartbeat, NOW - SECOND, 'dea-1');
  const apps = [
    droplet({ id: 'alpha', instances: [instance('i1')] }),
    droplet({ id: 'Beta-Mailer', desired: desired({ instances: 2 }), instances: [instance('i2')] }),
    droplet({ id: 'gamma', slots: [slot({ crashes: 2, flapping: true, lastCrashMs: NOW - SECOND })] }),
    droplet({ id: 'delta', slots: [slot({ held: 'mass_loss' })] }),
    droplet({ id: 'mail-2', instances: [instance('i3')] }),
  ];
  for (const app of apps) {
    await store(redis, app);
    await redis.client.hset(redis.keys.indexOf(app.id), app.id, '');
  }
  const scores = { 'Beta-Mailer': 500_001, gamma: 1_000_001, delta: 1_000_001 };
  for (const [id, score] of Object.entries(scores))
    await redis.client.zadd(redis.keys.troubled(redis.keys.sliceOf(id)), score, id);
});

test('all apps, by guid, page by page', async () => {
  const all = ['Beta-Mailer', 'alpha', 'delta', 'gamma', 'mail-2'];
  expect(await ids({})).toEqual(all);
  expect(await pages({ limit: 2 })).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4)]);
  expect(await pages({ limit: 5 })).toEqual([all]);
});

test('a part of the guid finds an app, in any case', async () => {
  expect(await ids({ search: 'mail' })).toEqual(['Beta-Mailer', 'mail-2']);
  expect(await ids({ search: 'MAILER' })).toEqual(['Beta-Mailer']);
  expect(await ids({ search: 'nothing' })).toEqual([]);
});

test('by problem, worst first', async () => {
  const problems = ['missing', 'flapping', 'given-up', 'unplaced', 'held', 'surplus'] as const;
  expect(await ids({ problems, sort: 'worst' })).toEqual(['delta', 'gamma', 'Beta-Mailer']);
  expect(await pages({ problems, sort: 'worst', limit: 1 })).toEqual([['delta'], ['gamma'], ['Beta-Mailer']]);
  expect(await ids({ problems: ['flapping'] })).toEqual(['gamma']);
  expect(await ids({ problems: ['held', 'flapping'], sort: 'worst' })).toEqual(['delta', 'gamma']);
  expect(await ids({ problems: ['surplus'] })).toEqual([]);
});

test('a row has what runs, and what is wrong', async () => {
  const { apps } = await read({ search: 'a' });
  expect(apps.find((app) => app.droplet === 'alpha')).toEqual({
    ...{ droplet: 'alpha', wanted: 1, live: 1, state: 'STARTED', problems: [] },
  });
  expect(apps.find((app) => app.droplet === 'Beta-Mailer')).toMatchObject({
    ...{ wanted: 2, live: 1, problems: ['missing'], trouble: { groups: [{ indices: '1' }] } },
  });
});

test('an edited cursor only begins elsewhere', async () => {
  expect(await ids({ cursor: 'delta' })).toEqual(['gamma', 'mail-2']);
  expect(await ids({ cursor: 'x:y:z' })).toEqual([]);
});

describe('with ids that viewers share', () => {
  const sharing = (nowMs: () => number) => {
    const { redis } = of.context;
    const reader = { read: (list: readonly string[]) => readWithDeas(redis, { nowMs: () => NOW }, list) };
    const workers = { noNudger: false };
    const sources = { redis, reader, holds: HOLDS, workers, policy: SETTINGS };
    const sortedIds = sharedIds(redis, nowMs);
    return async (query: Partial<AppQuery>) =>
      readAppPage({ ...sources, sortedIds }, { sort: 'guid', limit: 50, ...query });
  };

  test('pages and searches are the same', async () => {
    const shared = sharing(() => 0);
    for (const query of [
      {},
      { limit: 2 },
      { limit: 5 },
      { limit: 2, cursor: '0:alpha' },
      { limit: 3, cursor: '0:alpha' },
      { cursor: '0:zeta' },
      { search: 'MAIL' },
      { search: 'mail', limit: 1 },
      { search: 'mail', limit: 1, cursor: '0:Beta-Mailer' },
      { problems: ['flapping'] as const },
      { sort: 'worst' as const, limit: 1 },
    ])
      expect(await shared(query), JSON.stringify(query)).toEqual(await read(query));
  });

  test('a new app is listed once the ids are older than ten seconds', async () => {
    const { redis } = of.context;
    let nowMs = 0;
    const shared = sharing(() => nowMs);
    const idsNow = async () => (await shared({})).apps.map((app) => app.droplet);
    const before = await idsNow();
    await store(redis, droplet({ id: 'new', instances: [] }));
    await redis.client.hset(redis.keys.indexOf('new'), 'new', '');
    nowMs = 9_999;
    expect(await idsNow()).toEqual(before);
    nowMs = 10_000;
    expect(await idsNow()).toEqual([...before, 'new']);
  });
});
