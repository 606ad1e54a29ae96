import { beforeEach, describe, expect, test } from 'vitest';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { metricValue, recordOf, useRedis } from '../../common/testing/context.ts';
import { type AnalyzerMetrics, analyzerMetrics } from '../metrics.ts';
import type { Enqueuer } from './enqueue.ts';
import { type Look, Reconciler } from './reconciler.ts';

const of = useRedis({ settings: { slices: 1 } });
const DESIRED = 'STARTED 1x STAGED version v 256M updated 1398000000';
let metrics: AnalyzerMetrics;
let enqueued: Look[];
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
    enqueue: async (evaluations: Look[]) => void enqueued.push(...evaluations),
  } as unknown as Enqueuer;
  return new Reconciler({ redis, clock, log, metrics, policy: settings.policy, enqueuer });
}

/** A droplet that was first seen long ago, known to the index, and due now. */
async function put(id: string, fields: Record<string, string> = {}, due = true): Promise<void> {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.hset(keys.droplet(id), { rev: 1, seen: nowMs - 600_000, desired: DESIRED, ...fields });
  await client.hset(keys.indexOf(id), id, '');
  if (due) await client.zadd(keys.due(0), nowMs, id);
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
const idsOf = (evaluations: Look[]) => evaluations.map(({ droplet }) => droplet.id);

/** Redis on which something else comes in before each commit. */
function disturbed(before: () => Promise<unknown>): RedisConnections {
  const { redis } = of.context;
  const commitDecisions: typeof redis.scripts.commitDecisions = async (keys, args) => {
    await before();
    return redis.scripts.commitDecisions(keys, args);
  };
  return { ...redis, scripts: { ...redis.scripts, commitDecisions } };
}

describe('a look', () => {
  test('stores what it decided, says so in the log, and makes a job of it', async () => {
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

  test('at a droplet that is as it should be changes nothing, and it is due no more', async () => {
    await put('app', running());
    const before = await recordOf(of.context.redis, 'app');
    await reconciler.reconcile(['app']);
    expect(await recordOf(of.context.redis, 'app')).toEqual(before);
    expect(await dueMs('app')).toBeUndefined();
    expect(await logged()).toEqual([]);
    expect(await count('reconciles')).toBe(1);
  });

  test('at many is as at each', async () => {
    const ids = Array.from({ length: 1100 }, (_, n) => `app-${n}`);
    await Promise.all(ids.map((id, n) => put(id, n % 2 === 0 ? running() : {})));
    await reconciler.reconcile(ids);
    expect(await count('reconciles')).toBe(1100);
    expect(await logged()).toHaveLength(550);
  });

  test('at a record that cannot be read leaves it alone and due; the others are looked at', async () => {
    await put('bad', { 'slot:0': 'edited' });
    await put('app');
    await reconciler.reconcile(['bad', 'app']);
    expect(await recordOf(of.context.redis, 'bad')).toMatchObject({ rev: '1', 'slot:0': 'edited' });
    expect(await dueMs('bad')).toBe(of.context.clock.nowMs());
    expect(idsOf(enqueued)).toEqual(['app']);
    expect(await count('records_unreadable')).toBe(1);
    expect(of.context.lines).toContainEqual(
      expect.objectContaining({ event: 'unreadable_record', droplet: 'bad' }),
    );
  });

  test('whose record somebody makes something else of meanwhile fails for that one droplet, and says so', async () => {
    const { client, keys } = of.context.redis;
    await put('bad');
    await put('app');
    reconciler = reconcilerOn(disturbed(() => client.set(keys.droplet('bad'), 'made by hand')));
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

  test('at a droplet that is gone takes it off the due list', async () => {
    await of.context.redis.client.zadd(of.context.redis.keys.due(0), 1, 'gone');
    await reconciler.reconcile(['gone']);
    expect(await dueMs('gone')).toBeUndefined();
    expect(await recordOf(of.context.redis, 'gone')).toEqual({});
  });

  test('whose record changes meanwhile is repeated on what it is then', async () => {
    await put('app');
    await put('other');
    const { client, keys } = of.context.redis;
    let times = 0;
    reconciler = reconcilerOn(
      disturbed(async () => {
        if (++times === 1) await client.hset(keys.droplet('app'), { rev: 2, ...running() });
      }),
    );
    await reconciler.reconcile(['app', 'other']);
    expect(await recordOf(of.context.redis, 'app')).not.toHaveProperty('slot:0');
    expect(idsOf(enqueued.filter(({ decided }) => decided.decisions.length > 0))).toEqual(['other']);
    expect(await count('reconcile_conflicts')).toBe(1);
  });

  test('whose record changes at every try leaves the droplet due, and nothing is enqueued', async () => {
    await put('app');
    const { client, keys } = of.context.redis;
    reconciler = reconcilerOn(disturbed(() => client.hincrby(keys.droplet('app'), 'rev', 1)));
    await reconciler.reconcile(['app']);
    expect(enqueued).toEqual([]);
    expect(await logged()).toEqual([]);
    expect(await dueMs('app')).toBe(of.context.clock.nowMs());
  });

  test('removes a droplet that is neither desired nor running for long, and says so', async () => {
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

describe('the audit', () => {
  test('finds what is missing on a DEA that fell silent with many others, or since the last tick: it was not to be due', async () => {
    const { client, keys } = of.context.redis;
    const nowMs = of.context.clock.nowMs();
    const lastHeartbeatMs = nowMs - of.context.settings.policy.dropletLostMs - 1000;
    await client.zadd(keys.deasLastHeartbeat, lastHeartbeatMs, 'dea-1');
    for (const app of ['early', 'many', 'one']) await put(app, running(), false);
    await client.hset(keys.holds, 'mass_loss_evaluated', `1 ${nowMs - 1001}`);
    await audit('early');
    const late = JSON.stringify({ sinceMs: 1, lateDeas: ['dea-1'] });
    await client.hset(keys.holds, { mass_loss_evaluated: `1 ${nowMs}`, mass_loss: late });
    await audit('many');
    expect(await count('audit_misses')).toBe(0);
    expect(await logged()).toMatchObject([{ droplet: 'early', hold: 'mass_loss' }, { droplet: 'many' }]);
    await client.hdel(keys.holds, 'mass_loss');
    await put('two', running(), false);
    await audit('one');
    expect(await count('audit_misses')).toBe(0);
    await client.zadd(keys.deasLost, lastHeartbeatMs, 'dea-1');
    await audit('two');
    expect(await count('audit_misses')).toBe(1);
  });

  test('that finds a DEA silent for a while, or nobody listening, leaves its loss to the tick', async () => {
    const { client, keys } = of.context.redis;
    const nowMs = of.context.clock.nowMs();
    const { dropletLostMs } = of.context.settings.policy;
    await client.zadd(keys.deasLastHeartbeat, nowMs - 0.7 * dropletLostMs, 'dea-1');
    await put('silent', running(), false);
    await audit('silent');
    await client.zadd(keys.deasLastHeartbeat, nowMs - dropletLostMs - 1000, 'dea-1');
    await client.hset(keys.listening, { since: nowMs, until: nowMs });
    await put('unheard', running(), false);
    await audit('unheard');
    expect(await logged()).toEqual([]);
    expect(await dueMs('unheard')).toBeUndefined();
    expect(await count('audit_misses')).toBe(0);
  });
  const audit = async (...ids: string[]) => {
    const seen: string[] = [];
    await reconciler.audit(0, ids, (droplet) => void seen.push(droplet.id));
    return seen;
  };

  test('evaluations at all and changes nothing where all is as it should be', async () => {
    await put('app', running(), false);
    await put('stopped', { desired: DESIRED.replace('STARTED', 'STOPPED') }, false);
    const before = await of.context.redis.client.hgetall(of.context.redis.keys.droplet('app'));
    expect(await audit('app', 'stopped', 'unknown')).toEqual(['app', 'stopped']);
    expect(await recordOf(of.context.redis, 'app')).toEqual(before);
    expect([await count('audit_reconciles'), await count('audit_misses'), await count('reconciles')]).toEqual(
      [2, 0, 0],
    );
    expect(enqueued).toEqual([]);
  });

  test('that finds what no due list has says so, and does it', async () => {
    await put('app', {}, false);
    expect(await audit('app')).toEqual(['app']);
    expect(await count('audit_misses')).toBe(1);
    expect(of.context.lines).toContainEqual(
      expect.objectContaining({
        event: 'audit_miss',
        droplets: [expect.objectContaining({ droplet: 'app', changed: true })],
      }),
    );
    expect(await logged()).toMatchObject([{ kind: 'start' }]);
  });

  test('what is only to be forgotten may wait for the clean-up, if that is due', async () => {
    const { client, keys } = of.context.redis;
    const nowMs = of.context.clock.nowMs();
    const { dropletLostMs, dropletGcMs } = of.context.settings.policy;
    const gone = `7 RUNNING on dea-9 version v since 1 first ${nowMs - 20 * dropletLostMs}`;
    await put('app', { ...running(), 'instance:gone': gone }, false);
    await client.hset(keys.holds, 'mass_loss_evaluated', `1 ${nowMs}`);
    await client.zadd(keys.due(0), nowMs + dropletGcMs, 'app');
    await audit('app');
    expect(await count('audit_misses')).toBe(0);
    await client.zadd(keys.due(0), nowMs + 2 * dropletGcMs, 'app');
    await audit('app');
    expect(await count('audit_misses')).toBe(1);
    expect(await recordOf(of.context.redis, 'app')).not.toHaveProperty('instance:gone');
  });

  test('leaves what is due to the tick', async () => {
    await put('app');
    await audit('app');
    expect(await count('audit_misses')).toBe(0);
    expect(await logged()).toEqual([]);
  });

  test('a start that waits for long is made sure of when that is due: no miss until then', async () => {
    await put('app');
    await reconciler.reconcile(['app']);
    of.context.clock.advance(of.context.settings.policy.dropletLostMs);
    await reconciler.reconcile(['app']);
    expect(enqueued.at(-1)?.decided.verifyJobs).toHaveLength(1);
    of.context.clock.advance(1_000);
    await audit('app');
    expect(await count('audit_misses')).toBe(0);
  });

  test.each([10_000, 40_000])(
    'nor of many whose jobs are known to be there: after %i ms',
    async (waitedMs) => {
      const ids = ['app', ...Array.from({ length: 20 }, (_, n) => `app-${n}`)];
      for (const id of ids) await put(id);
      await reconciler.reconcile(ids);
      expect((await dueMs('app')) as number).toBeGreaterThan(of.context.clock.nowMs() + 400_000);
      of.context.clock.advance(waitedMs);
      await audit('app');
      expect(await count('audit_misses')).toBe(0);
      expect((await dueMs('app')) as number).toBeGreaterThan(of.context.clock.nowMs() + 400_000);
    },
  );

  test('what is due only later than it is needed is a miss', async () => {
    const { client, keys } = of.context.redis;
    await put('app');
    await client.zadd(keys.due(0), of.context.clock.nowMs() + 60_000, 'app');
    await audit('app');
    expect(await count('audit_misses')).toBe(1);
    expect(await logged()).toMatchObject([{ kind: 'start' }]);
  });
});
