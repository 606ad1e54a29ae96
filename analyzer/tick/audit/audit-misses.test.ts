import { beforeEach, expect, test } from 'vitest';
import { metricValue, recordOf, useRedis } from '../../../common/testing/context.ts';
import { analyzerMetrics } from '../../metrics.ts';
import type { Enqueuer } from '../../reconcile/enqueue.ts';
import type { Evaluation } from '../../reconcile/evaluation.ts';
import { Reconciler } from '../../reconcile/reconciler.ts';
import { Audit } from './audit.ts';

const of = useRedis({ settings: { slices: 1 } });
const DESIRED = 'STARTED 1x STAGED version v 256M updated 1398000000';
let enqueued: Evaluation[];
let reconciler: Reconciler;
let audit: Audit;
const evaluated = new Set<string>();

beforeEach(async () => {
  const { redis, clock, log, settings, metrics: registry, lines } = of.context;
  const { client, keys } = redis;
  registry.clear();
  lines.length = 0;
  const metrics = analyzerMetrics(registry);
  enqueued = [];
  const enqueuer = {
    enqueue: async (evaluations: Evaluation[]) => void enqueued.push(...evaluations),
  } as unknown as Enqueuer;
  const { policy } = settings;
  reconciler = new Reconciler({ redis, clock, log, metrics, policy, enqueuer });
  const observed = {
    evaluate: async (ids: readonly string[]) => {
      const evaluations = await reconciler.evaluate(ids);
      for (const { droplet } of evaluations) evaluated.add(droplet.id);
      return evaluations;
    },
    reconcile: (ids: readonly string[]) => reconciler.reconcile(ids),
  };
  audit = new Audit({ redis, clock, log, metrics, policy, reconciler: observed, auditRate: 1e9 });
  const nowMs = clock.nowMs();
  await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs });
  await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
  await client.zadd(keys.deasLastHeartbeat, nowMs, 'dea-1');
});

/** Stores a droplet that was first seen long ago; due now if `isDue`. */
async function put(id: string, fields: Record<string, string> = {}, isDue = false): Promise<void> {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.hset(keys.droplet(id), { rev: 1, seen: nowMs - 600_000, desired: DESIRED, ...fields });
  if (isDue) await client.zadd(keys.due(0), nowMs, id);
}

/** Audits a slice of these droplets. Returns those that were evaluated. */
async function auditOf(...ids: string[]): Promise<string[]> {
  const { client, keys } = of.context.redis;
  evaluated.clear();
  for (const id of ids) await client.hset(keys.indexOf(id), id, '');
  await audit.auditNext([0]);
  for (const id of ids) await client.hdel(keys.indexOf(id), id);
  return [...evaluated].sort();
}

const running = () => ({
  'instance:i0': `0 RUNNING on dea-1 version v since 1 first ${of.context.clock.nowMs() - 60_000}`,
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

test('a droplet on a DEA that was lost with many others, or since the last tick, is no miss', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  const lastHeartbeatMs = nowMs - of.context.settings.policy.dropletLostMs - 1000;
  await client.zadd(keys.deasLastHeartbeat, lastHeartbeatMs, 'dea-1');
  for (const app of ['early', 'many', 'one']) await put(app, running());
  await client.hset(keys.holds, 'mass_loss_evaluated', `1 ${nowMs - 1001}`);
  await auditOf('early');
  const late = JSON.stringify({ sinceMs: 1, lateDeas: ['dea-1'] });
  await client.hset(keys.holds, { mass_loss_evaluated: `1 ${nowMs}`, mass_loss: late });
  await auditOf('many');
  expect(await count('audit_misses')).toBe(0);
  // `early` waits for the evaluation, which is no hold.
  expect(await logged()).toMatchObject([{ droplet: 'many', hold: 'mass_loss' }]);
  await client.hdel(keys.holds, 'mass_loss');
  await put('two', running());
  await auditOf('one');
  expect(await count('audit_misses')).toBe(0);
  await client.zadd(keys.deasLost, lastHeartbeatMs, 'dea-1');
  await auditOf('two');
  expect(await count('audit_misses')).toBe(1);
});

test('a droplet on a silent DEA, or under actual_not_fresh, is left to the tick', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  const { dropletLostMs } = of.context.settings.policy;
  await client.zadd(keys.deasLastHeartbeat, nowMs - 0.7 * dropletLostMs, 'dea-1');
  await put('silent', running());
  await auditOf('silent');
  await client.zadd(keys.deasLastHeartbeat, nowMs - dropletLostMs - 1000, 'dea-1');
  await client.hset(keys.listening, { since: nowMs, until: nowMs });
  await put('unheard', running());
  await auditOf('unheard');
  expect(await logged()).toEqual([]);
  expect(await dueMs('unheard')).toBeUndefined();
  expect(await count('audit_misses')).toBe(0);
});

test('the audit evaluates all droplets and changes nothing about healthy ones', async () => {
  await put('app', running());
  await put('stopped', { desired: DESIRED.replace('STARTED', 'STOPPED') });
  const before = await of.context.redis.client.hgetall(of.context.redis.keys.droplet('app'));
  expect(await auditOf('app', 'stopped', 'unknown')).toEqual(['app', 'stopped']);
  expect(await recordOf(of.context.redis, 'app')).toEqual(before);
  expect([await count('audit_reconciles'), await count('audit_misses'), await count('reconciles')]).toEqual([
    2, 0, 0,
  ]);
  expect(enqueued).toEqual([]);
});

test('a droplet that needs a start and is not due is a miss: it is logged and reconciled', async () => {
  await put('app');
  expect(await auditOf('app')).toEqual(['app']);
  expect(await count('audit_misses')).toBe(1);
  expect(of.context.lines).toContainEqual(
    expect.objectContaining({
      event: 'audit_miss',
      droplets: [expect.objectContaining({ droplet: 'app', changed: true })],
    }),
  );
  expect(await logged()).toMatchObject([{ kind: 'start' }]);
});

test('clean-up may wait for droplet_gc if the droplet is due by then', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  const { dropletLostMs, dropletGcMs } = of.context.settings.policy;
  const gone = `7 RUNNING on dea-9 version v since 1 first ${nowMs - 20 * dropletLostMs}`;
  await put('app', { ...running(), 'instance:gone': gone });
  for (const deas of [keys.deasLastHeartbeat, keys.deasLost])
    await client.zadd(deas, nowMs - 20 * dropletLostMs, 'dea-9');
  await client.hset(keys.holds, 'mass_loss_evaluated', `1 ${nowMs}`);
  await client.zadd(keys.due(0), nowMs + dropletGcMs, 'app');
  await auditOf('app');
  expect(await count('audit_misses')).toBe(0);
  await client.zadd(keys.due(0), nowMs + 2 * dropletGcMs, 'app');
  await auditOf('app');
  expect(await count('audit_misses')).toBe(1);
  expect(await recordOf(of.context.redis, 'app')).not.toHaveProperty('instance:gone');
});

test('a due droplet is left to the tick', async () => {
  await put('app', {}, true);
  await auditOf('app');
  expect(await count('audit_misses')).toBe(0);
  expect(await logged()).toEqual([]);
});

test('a waiting start whose job is verified later is no miss', async () => {
  await put('app');
  await reconciler.reconcile(['app']);
  of.context.clock.advance(of.context.settings.policy.dropletLostMs);
  await reconciler.reconcile(['app']);
  expect(enqueued.at(-1)?.decided.verifyJobs).toHaveLength(1);
  of.context.clock.advance(1_000);
  await auditOf('app');
  expect(await count('audit_misses')).toBe(0);
});

test.each([10_000, 40_000])(
  'many waiting starts whose jobs are known to be in the queue are no miss after %i ms',
  async (waitedMs) => {
    const ids = ['app', ...Array.from({ length: 20 }, (_, n) => `app-${n}`)];
    for (const id of ids) await put(id);
    await reconciler.reconcile(ids);
    expect((await dueMs('app')) as number).toBeGreaterThan(of.context.clock.nowMs() + 400_000);
    of.context.clock.advance(waitedMs);
    await auditOf('app');
    expect(await count('audit_misses')).toBe(0);
    expect((await dueMs('app')) as number).toBeGreaterThan(of.context.clock.nowMs() + 400_000);
  },
);

test('a droplet that is due later than it needs a reconcile is a miss', async () => {
  const { client, keys } = of.context.redis;
  await put('app');
  await client.zadd(keys.due(0), of.context.clock.nowMs() + 60_000, 'app');
  await auditOf('app');
  expect(await count('audit_misses')).toBe(1);
  expect(await logged()).toMatchObject([{ kind: 'start' }]);
});

test('a droplet that has been due for longer than droplet_lost is a miss: nothing takes its job', async () => {
  const { client, keys } = of.context.redis;
  const { dropletLostMs } = of.context.settings.policy;
  await put('app');
  await client.zadd(keys.due(0), of.context.clock.nowMs() - dropletLostMs, 'app');
  await auditOf('app');
  expect(await count('audit_misses')).toBe(0);
  await client.zadd(keys.due(0), of.context.clock.nowMs() - dropletLostMs - 1_000, 'app');
  await auditOf('app');
  expect(await count('audit_misses')).toBe(1);
  expect(await logged()).toMatchObject([{ kind: 'start' }]);
});
