import { beforeEach, describe, expect, test } from 'vitest';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import type { ScriptName } from '../../common/redis/scripts/scripts.ts';
import { metricValue, recordOf, useRedis } from '../../common/testing/context.ts';
import { withScripts } from '../../common/testing/redis/scripts.ts';
import { type AnalyzerMetrics, analyzerMetrics } from '../metrics.ts';
import type { Enqueuer } from './enqueue.ts';
import type { Evaluation } from './evaluation.ts';
import { Reconciler } from './reconciler.ts';

const of = useRedis({ settings: { slices: 1 } });
const DESIRED = 'STARTED 1x STAGED version v 256M updated 1398000000';
let metrics: AnalyzerMetrics;
let enqueued: Evaluation[];
let reconciler: Reconciler;

beforeEach(async () => {
  const { client, keys } = of.context.redis;
  of.context.metrics.clear();
  of.context.lines.length = 0;
  metrics = analyzerMetrics(of.context.metrics);
  enqueued = [];
  reconciler = reconcilerOn(of.context.redis);
  const nowMs = of.context.clock.nowMs();
  await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs });
  await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
  await client.zadd(keys.deasLastHeartbeat, nowMs, 'dea-1');
});

function reconcilerOn(redis: RedisConnections): Reconciler {
  const { clock, log, settings } = of.context;
  const enqueuer = {
    enqueue: async (evaluations: Evaluation[]) => void enqueued.push(...evaluations),
  } as unknown as Enqueuer;
  return new Reconciler({ redis, clock, log, metrics, policy: settings.policy, enqueuer });
}

/** Stores a droplet that was first seen long ago, is in the index, and is due now. */
async function put(id: string, fields: Record<string, string> = {}): Promise<void> {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.hset(keys.droplet(id), { rev: 1, seen: nowMs - 600_000, desired: DESIRED, ...fields });
  await client.hset(keys.indexOf(id), id, '');
  await client.zadd(keys.due(0), nowMs, id);
}
const running = (index = 0) => ({
  [`instance:i${index}`]: `${index} RUNNING on dea-1 version v since 1 first ${of.context.clock.nowMs() - 60_000}`,
});
const dueMs = async (id: string) => {
  const score = await of.context.redis.client.zscore(of.context.redis.keys.due(0), id);
  return score === null ? undefined : Number(score);
};
const logged = async () => {
  const { client, keys } = of.context.redis;
  const entries = await client.xrange(keys.decisions(0), '-', '+');
  return entries.map(([, [, json]]) => JSON.parse(json as string) as Record<string, unknown>);
};
const count = (name: string) => metricValue(of.context.metrics, `hm_${name}_total`);
const idsOf = (evaluations: Evaluation[]) => evaluations.map(({ droplet }) => droplet.id);

/** Redis with another write before each commit, or before each call of another script. */
function interrupted(
  before: () => Promise<unknown>,
  script: ScriptName = 'commit_decisions',
): RedisConnections {
  return withScripts(of.context.redis, [script], async (run) => {
    await before();
    return run();
  });
}

describe('a reconcile', () => {
  test('stores its decision, logs it, and makes a job of it', async () => {
    await put('app');
    await reconciler.reconcile(['app']);
    const record = await recordOf(of.context.redis, 'app');
    const slot = JSON.parse(record['slot:0'] ?? '{}') as { start: { id: string } };
    expect(record.rev).toBe('2');
    expect(slot).toMatchObject({ index: 0, version: 'v', start: { reason: 'missing' } });
    expect(await logged()).toMatchObject([
      { kind: 'start', id: slot.start.id, droplet: 'app', reason: 'missing' },
    ]);
    expect(enqueued[0]?.decided.decisions).toMatchObject([{ kind: 'start', id: slot.start.id }]);
    expect(await dueMs('app')).toBeGreaterThan(of.context.clock.nowMs());
    expect(
      await metricValue(of.context.metrics, 'hm_decisions_total', { kind: 'start', reason: 'missing' }),
    ).toBe(1);
  });

  test('of a healthy droplet changes nothing, and the droplet is no longer due', async () => {
    await put('app', running());
    const before = await recordOf(of.context.redis, 'app');
    await reconciler.reconcile(['app']);
    expect(await recordOf(of.context.redis, 'app')).toEqual(before);
    expect(await dueMs('app')).toBeUndefined();
    expect(await logged()).toEqual([]);
    expect(await count('reconciles')).toBe(1);
  });

  test('of many droplets decides about each', async () => {
    const ids = Array.from({ length: 1100 }, (_, n) => `app-${n}`);
    await Promise.all(ids.map((id, n) => put(id, n % 2 === 0 ? running() : {})));
    await reconciler.reconcile(ids);
    expect(await count('reconciles')).toBe(1100);
    expect(await logged()).toHaveLength(550);
  });

  test.each<[string, (key: string) => Promise<unknown>]>([
    ['a revision that is no number', (key) => of.context.redis.client.hset(key, 'rev', 'x')],
    ['a revision that cannot grow', (key) => of.context.redis.client.hset(key, 'rev', '9'.repeat(19))],
    ['a desired state that is none', (key) => of.context.redis.client.hset(key, 'desired', 'y')],
    ['a slot that is none', (key) => of.context.redis.client.hset(key, 'slot:0', 'x')],
    ['a field that no process writes', (key) => of.context.redis.client.hset(key, 'note', 'x')],
    [
      'a slot that is none, and no revision',
      async (key) => {
        await of.context.redis.client.hdel(key, 'rev');
        await of.context.redis.client.hset(key, 'slot:0', 'x');
      },
    ],
    ['a key of the wrong type', (key) => of.context.redis.client.set(key, 'made by hand')],
  ])(
    'of a record with %s removes it, keeps its index entry, and logs it; the other droplets are reconciled',
    async (_, edit) => {
      const { client, keys } = of.context.redis;
      await put('bad');
      await put('app');
      await edit(keys.droplet('bad'));
      await reconciler.reconcile(['bad', 'app']);
      expect(await client.exists(keys.droplet('bad'))).toBe(0);
      expect(await client.hexists(keys.indexOf('bad'), 'bad')).toBe(1);
      expect(idsOf(enqueued)).toEqual(['app']);
      expect(await count('records_unreadable')).toBe(1);
      expect(of.context.lines).toContainEqual(
        expect.objectContaining({ event: 'unreadable_record', droplet: 'bad' }),
      );
    },
  );

  test('of an unreadable record that a process has written meanwhile leaves it', async () => {
    const { client, keys } = of.context.redis;
    await put('bad', { desired: 'edited' });
    const removing = interrupted(() => client.hset(keys.droplet('bad'), 'rev', 2), 'remove_unreadable');
    await reconcilerOn(removing).reconcile(['bad']);
    expect(await recordOf(of.context.redis, 'bad')).toMatchObject({ rev: '2' });
  });

  test('of a record whose key has the wrong type fails for that droplet alone, and logs it', async () => {
    const { client, keys } = of.context.redis;
    await put('bad');
    await put('app');
    reconciler = reconcilerOn(interrupted(() => client.set(keys.droplet('bad'), 'made by hand')));
    await reconciler.reconcile(['bad', 'app']);
    expect(idsOf(enqueued)).toEqual(['app']);
    expect(await recordOf(of.context.redis, 'app')).toMatchObject({ rev: '2' });
    expect(await client.get(keys.droplet('bad'))).toBe('made by hand');
    expect(await count('reconciles_not_stored')).toBe(1);
    expect(of.context.lines).toContainEqual(
      expect.objectContaining({
        event: 'decision_not_stored',
        droplet: 'bad',
        problem: expect.stringMatching(/^WRONGTYPE/),
      }),
    );
  });

  test('of a droplet without a record removes it from the due list', async () => {
    await of.context.redis.client.zadd(of.context.redis.keys.due(0), 1, 'gone');
    await reconciler.reconcile(['gone']);
    expect(await dueMs('gone')).toBeUndefined();
    expect(await recordOf(of.context.redis, 'gone')).toEqual({});
  });

  test('of a record that changes meanwhile is repeated on the new record', async () => {
    await put('app');
    await put('other');
    const { client, keys } = of.context.redis;
    let times = 0;
    reconciler = reconcilerOn(
      interrupted(async () => {
        if (++times === 1) await client.hset(keys.droplet('app'), { rev: 2, ...running() });
      }),
    );
    await reconciler.reconcile(['app', 'other']);
    expect(await recordOf(of.context.redis, 'app')).not.toHaveProperty('slot:0');
    expect(idsOf(enqueued.filter(({ decided }) => decided.decisions.length > 0))).toEqual(['other']);
    expect(await count('reconcile_conflicts')).toBe(1);
  });

  test('of a record that changes at every attempt leaves the droplet due and enqueues nothing', async () => {
    await put('app');
    const { client, keys } = of.context.redis;
    reconciler = reconcilerOn(interrupted(() => client.hincrby(keys.droplet('app'), 'rev', 1)));
    await reconciler.reconcile(['app']);
    expect(enqueued).toEqual([]);
    expect(await logged()).toEqual([]);
    expect(await dueMs('app')).toBe(of.context.clock.nowMs());
  });

  test('removes a droplet that has long been neither desired nor running, and logs it', async () => {
    const { client, keys } = of.context.redis;
    const goneMs = of.context.clock.nowMs() - of.context.settings.policy.dropletGcGraceMs - 1;
    await put('app', { gone: String(goneMs) });
    await reconciler.reconcile(['app']);
    expect(await recordOf(of.context.redis, 'app')).toEqual({});
    expect(await client.hexists(keys.indexOf('app'), 'app')).toBe(0);
    expect(await dueMs('app')).toBeUndefined();
    expect(await logged()).toEqual([{ atMs: of.context.clock.nowMs(), droplet: 'app', kind: 'removed' }]);
  });

  test('by several analyzers at once decides once', async () => {
    await put('app');
    await Promise.all(Array.from({ length: 6 }, () => reconcilerOn(of.context.redis).reconcile(['app'])));
    expect(await logged()).toHaveLength(1);
    expect(enqueued.flatMap(({ decided }) => decided.decisions)).toHaveLength(1);
  });
});
