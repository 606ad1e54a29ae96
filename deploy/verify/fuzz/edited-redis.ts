import fc from 'fast-check';
import { analyzerMetrics } from '../../../analyzer/metrics.ts';
import { Enqueuer } from '../../../analyzer/reconcile/enqueue.ts';
import { Reconciler } from '../../../analyzer/reconcile/reconciler.ts';
import { Audit } from '../../../analyzer/tick/audit/audit.ts';
import { Tick } from '../../../analyzer/tick/tick.ts';
import { openQueue, type QueueName } from '../../../common/queues/queues.ts';
import { deploymentTime } from '../../../common/redis/scripts/fleet/deployment-time.ts';
import type { TestContext } from '../../../common/testing/context.ts';
import { oddValue } from './arbitrary.ts';
import { SHARES } from './shares.ts';
import { RECORD } from './stored.ts';
import { check, type Target } from './target.ts';

type FleetField = [key: 'clock' | 'scan' | 'syncState', field: string];

const HELD = fc.oneof(
  fc.constant(undefined),
  oddValue.map((value) => String(JSON.stringify(value))),
);
const EDIT = fc.record({
  record: RECORD,
  /** The type of the record's key. */
  type: fc.constantFrom('hash', 'hash', 'hash', 'hash', 'string', 'list', 'set', 'zset'),
  massLoss: HELD,
  massDelete: HELD,
  event: fc.array(
    oddValue.map((value) => String(JSON.stringify(value))),
    { minLength: 2, maxLength: 4 },
  ),
  dea: oddValue.map((value) => String(JSON.stringify(value))),
  /** Edits of the keys of the fleet. */
  fleet: fc.array(
    fc.tuple(
      fc.constantFrom<FleetField>(
        ...(['last', 'ahead'] as const).map((name): FleetField => ['clock', name]),
        ...(['tick', 'audit_slice', 'audit_at'] as const).map((name): FleetField => ['scan', name]),
        ...(['full_begun', 'full_requested', 'requested', 'pages', 'begun'] as const).map(
          (name): FleetField => ['syncState', name],
        ),
      ),
      oddValue.map((value) => String(JSON.stringify(value))),
    ),
    { maxLength: 3 },
  ),
  /** What is deleted: the record with or without its index entry. */
  lost: fc.constantFrom('nothing', 'nothing', 'record', 'index'),
});

/** The analyzer over records, holds and DEA lists that were edited by hand, with one intact droplet beside them. */
export function editedRedisTarget(context: TestContext): Target {
  const { redis, clock, log, lifecycle, settings } = context;
  const { policy } = settings;
  const { client, keys } = redis;
  const metrics = analyzerMetrics(context.metrics);
  const queue = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  const enqueuer = new Enqueuer({
    redis,
    clock,
    policy,
    starts: queue('starts'),
    restarts: queue('restarts'),
    stops: queue('stops'),
    sync: queue('sync'),
  });
  const reconciler = new Reconciler({ redis, clock, log, metrics, policy, enqueuer });
  const audit = new Audit({ redis, clock, log, metrics, policy, reconciler, auditRate: 1e9 });
  const tick = new Tick({
    redis,
    clock,
    log,
    metrics,
    policy,
    reconciler,
    audit,
    slicesQueue: queue('slices'),
  });
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  return {
    name: 'analyzer over an edited Redis',
    share: SHARES.editedRedis,
    batchSize: 50,
    input: EDIT,
    async process(inputs) {
      await client.flushall();
      context.lines.length = 0;
      const nowMs = clock.advance(1_000_000);
      const seen = nowMs - 500_000;
      await client.hset(keys.listening, { since: seen, until: nowMs });
      await client.hset(keys.syncState, { completed: nowMs - 1, succeeded: nowMs });
      const desired = 'STARTED 1x STAGED version v 64M updated 1398000000';
      await client.hset(keys.droplet('good'), { rev: 1, seen, desired });
      await client.hset(keys.indexOf('good'), 'good', '');
      await client.zadd(keys.due(keys.sliceOf('good')), nowMs, 'good');
      const edits = inputs as ReturnType<typeof EDIT.generate>['value'][];
      for (const [n, { record, type, massLoss, massDelete, event, dea, fleet, lost }] of edits.entries()) {
        const id = `edited-${n}`;
        const key = keys.droplet(id);
        if (type === 'string') await client.set(key, 'x');
        else if (type === 'list') await client.rpush(key, 'x');
        else if (type === 'set') await client.sadd(key, 'x');
        else if (type === 'zset') await client.zadd(key, 1, 'x');
        else if (record.length > 0) await client.hset(key, ...record);
        await client.hset(keys.indexOf(id), id, '');
        await client.zadd(keys.due(keys.sliceOf(id)), nowMs, id);
        if (lost === 'record') await client.del(key);
        if (lost === 'index') await client.hdel(keys.indexOf(id), id);
        for (const [[name, field], value] of fleet) await client.hset(keys[name], field, value);
        if (massLoss !== undefined) await client.hset(keys.holds, 'mass_loss', massLoss);
        if (massDelete !== undefined) await client.hset(keys.holds, 'mass_delete', massDelete);
        await client.zadd(keys.deasLastHeartbeat, nowMs - 40_000, dea);
        await client.hset(keys.deaList(dea), 'list', event.join('\n'));
        await client.hset(keys.deasCount, dea, event[0] as string);
      }
      const timeMs = await deploymentTime(redis);
      check(Number.isFinite(timeMs), `expected a time, found ${timeMs}`);
      await tick.run();
      await tick.work({ slices, audit: false });
      await tick.work({ slices, audit: true });
      const [good] = [await client.hgetall(keys.droplet('good'))];
      check(
        good['slot:0']?.includes('"start"') === true,
        `the intact droplet got no start: ${JSON.stringify(good)}`,
      );
      return edits.map(({ type }) => type);
    },
  };
}
