import { expect, test } from 'vitest';
import type { Droplet } from '../../common/model/droplet.ts';
import { instanceExpiryMs } from '../../common/policy/thresholds.ts';
import { readDeas, readWithDeas } from '../../common/redis/records/readers.ts';
import { releaseDea } from '../../common/redis/scripts/deas/release-dea.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { beginHeartbeat } from '../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import { analyzerMetrics } from '../metrics.ts';
import type { Enqueuer } from './enqueue.ts';
import { Reconciler } from './reconciler.ts';

const of = useRedis({ settings: { slices: 1 } });
const DESIRED = 'STARTED 1x STAGED version v 256M updated 1398000000';

/** A healthy app on a DEA whose last heartbeat Redis has lost; ingestors listen. @returns the starts that a reconcile decides */
async function startsAfter(instance: string): Promise<(advanceMs: number) => Promise<number>> {
  const { redis, clock, log, settings, metrics } = of.context;
  const { client, keys } = redis;
  metrics.clear();
  const { policy } = settings;
  const enqueuer = { enqueue: async () => undefined } as unknown as Enqueuer;
  const reconciler = new Reconciler({
    redis,
    clock,
    log,
    metrics: analyzerMetrics(metrics),
    policy,
    enqueuer,
  });
  const seen = clock.nowMs() - instanceExpiryMs(policy);
  await client.hset(keys.droplet('app'), {
    rev: 1,
    seen,
    desired: DESIRED,
    'instance:i': `${instance} first ${seen}`,
  });
  return async (advanceMs) => {
    const nowMs = clock.advance(advanceMs);
    await client.hset(keys.listening, { since: seen, until: nowMs });
    await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
    await client.hset(keys.holds, 'mass_loss_evaluated', `${seen} ${nowMs}`);
    await client.zadd(keys.watermarks, nowMs, 'ingestor');
    expect((await readFleetFacts(redis)).listening).toBeDefined();
    const [evaluation] = await reconciler.evaluate(['app']);
    return evaluation?.decided.decisions.filter(({ kind }) => kind === 'start').length ?? 0;
  };
}

test('a DEA whose last heartbeat Redis has lost has droplet_lost to send another', async () => {
  const { dropletLostMs } = of.context.settings.policy;
  const starts = await startsAfter('0 RUNNING on dea-1 version v since 1');
  expect(await starts(0)).toBe(0);
  expect(await metricValue(of.context.metrics, 'hm_repairs_total', { what: 'heartbeat_time' })).toBe(1);
  expect(await starts(dropletLostMs)).toBe(0);
  expect(await starts(1)).toBe(1);
  expect(await metricValue(of.context.metrics, 'hm_repairs_total', { what: 'heartbeat_time' })).toBe(1);
});

test('an instance that its DEA no longer lists does not bring the time of the DEA back', async () => {
  const starts = await startsAfter('0 RUNNING on dea-1 version v since 1');
  await starts(0);
  const { client, keys } = of.context.redis;
  await client.hset(keys.droplet('app'), 'instance:i', '0 RUNNING on dea-1 version v since 1 first 1 last 2');
  await client.del(keys.deasLastHeartbeat);
  expect(await starts(0)).toBe(1);
  expect(await client.zscore(keys.deasLastHeartbeat, 'dea-1')).toBeNull();
});

test('an instance that a DEA whose last heartbeat Redis has lost may only have left out waits until that DEA is heard or lost', async () => {
  const { redis, clock, settings } = of.context;
  const { client, keys } = redis;
  const { dropletLostMs } = settings.policy;
  const starts = await startsAfter('0 RUNNING on dea-1 version v since 1');
  const leaveOut = () =>
    client.hset(
      keys.droplet('app'),
      'instance:i',
      `0 RUNNING on dea-1 version v since 1 first 1 last ${clock.nowMs() - dropletLostMs / 2}`,
    );
  await leaveOut();
  expect(await starts(0)).toBe(0);
  expect(await starts(dropletLostMs / 2)).toBe(0);
  expect(await starts(dropletLostMs / 2)).toBe(0);
  expect(await starts(1)).toBe(1);
  await leaveOut();
  await client.del(keys.deasLastHeartbeat);
  expect(await starts(0)).toBe(0);
  const receivedMs = clock.advance(1000);
  const heartbeat = { dea: 'dea-1', list: '', receivedMs, earliestMs: receivedMs, dropletLostMs };
  expect(await beginHeartbeat(redis, heartbeat)).toMatchObject({ atMs: receivedMs });
  expect(await starts(dropletLostMs / 2)).toBe(0);
  await beginHeartbeat(redis, { ...heartbeat, receivedMs: clock.advance(1000), earliestMs: clock.nowMs() });
  expect(await starts(0)).toBe(1);
});

test('a time that was brought back shows no heartbeat', async () => {
  const { redis, clock } = of.context;
  const starts = await startsAfter('0 RUNNING on dea-1 version v since 1');
  await starts(0);
  const droplet = { instances: [{ dea: 'dea-1' }, { dea: 'dea-1' }] } as unknown as Droplet;
  const dea = async () => (await readDeas(redis, [droplet])).get('dea-1');
  const restoredMs = clock.nowMs();
  expect(await dea()).toEqual({ lastHeartbeatMs: restoredMs, isRestored: true });
  expect((await readWithDeas(redis, clock, ['app'])).deas.get('dea-1')).toEqual(await dea());
  const send = async () => {
    const receivedMs = clock.advance(1000);
    const { dropletLostMs } = of.context.settings.policy;
    return beginHeartbeat(redis, {
      dea: 'dea-1',
      list: '',
      receivedMs,
      earliestMs: receivedMs,
      dropletLostMs,
    });
  };
  expect(await send()).toMatchObject({ previousHeartbeatMs: restoredMs });
  expect(await dea()).toEqual({ lastHeartbeatMs: restoredMs + 1000, isRestored: true });
  await send();
  expect(await dea()).toEqual({
    lastHeartbeatMs: restoredMs + 2000,
    previousHeartbeatMs: restoredMs + 1000,
  });
});

test('other DEAs do not take over the instances of a DEA whose last heartbeat Redis has lost', async () => {
  const { redis, clock } = of.context;
  const release = () => releaseDea(redis, { dea: 'dea-1', lateBeforeMs: clock.nowMs() });
  await redis.client.hset(redis.keys.deaList('dea-1'), 'list', 'abcdefghapp\n');
  expect(await release()).toBe(clock.nowMs());
  await redis.client.del(redis.keys.deaList('dea-1'));
  expect(await release()).toBe('released');
});
