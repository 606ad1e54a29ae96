import { setTimeout as delay } from 'node:timers/promises';
import { TOTALS } from '../../../../common/redis/fleet/summary.ts';
import { PER_DEA } from '../cloud/fleet.ts';
import type { HeartbeatTotals } from '../cloud/protocol.ts';
import type { Stage } from './stage.ts';

/** The heartbeat interval of a DEA. */
export const HEARTBEAT_MS = 10_000;
/** Storing the first heartbeat of a DEA takes about this long. */
const NEW_DEA_MS = 5;
const POLL_MS = 100;
/** A machine that is busy with other work takes minutes. */
const BROUGHT_UP_WITHIN_S = 900;
/** Every received heartbeat is stored within this time. */
const STORED_WITHIN_MS = 60_000;

/**
 * Waits until `done()`.
 *
 * @throws Error with `what` after `maxS`
 */
export async function until(what: string, maxS: number, done: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + maxS * 1000;
  while (!(await done())) {
    if (performance.now() > deadlineMs) throw new Error(`timed out after ${maxS} s: ${what}`);
    await delay(POLL_MS);
  }
}

/** When the latest complete sync pass began and ended (ms on Redis's clock); undefined before the first. */
export async function lastPass({
  redis,
}: Stage): Promise<{ begunMs: number; succeededMs: number } | undefined> {
  const [begun, succeeded] = await redis.client.hmget(redis.keys.syncState, 'completed', 'succeeded');
  return begun && succeeded ? { begunMs: Number(begun), succeededMs: Number(succeeded) } : undefined;
}

/**
 * Brings up a fleet in the state of a cloud that has run for long: heartbeats first, so that nothing is missing when the
 * desired state comes. `ingest` must run; `sync` is started if requested.
 */
export async function bringUp(
  stage: Stage,
  instances: number,
  { heartbeatMs, sync }: { heartbeatMs: number; sync: boolean },
): Promise<void> {
  const { redis, cloud } = stage;
  const deas = instances / PER_DEA;
  // Not faster than they can be stored, since further heartbeats would only slow that down.
  await cloud.call('sendHeartbeats', {
    deas,
    periodMs: Math.max(heartbeatMs, Math.min(deas * NEW_DEA_MS, HEARTBEAT_MS)),
    changes: 0,
  });
  await until(
    `the first heartbeat of ${deas} DEAs`,
    BROUGHT_UP_WITHIN_S,
    async () => (await redis.client.zcard(redis.keys.deasLastHeartbeat)) === deas,
  );
  await until(
    `${deas} stored digests`,
    BROUGHT_UP_WITHIN_S,
    async () => (await redis.client.hlen(redis.keys.deasDigest)) === deas,
  );
  await cloud.call('sendHeartbeats', { deas, periodMs: heartbeatMs, changes: 0 });
  if (!sync) return;
  await stage.start('sync');
  await until('a complete pass', BROUGHT_UP_WITHIN_S, async () => (await lastPass(stage)) !== undefined);
}

/** Waits until no droplet is due within two seconds, before a measurement begins. */
export async function waitUntilNothingDue(stage: Stage): Promise<void> {
  const { client, keys } = stage.redis;
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  await until('nothing due', BROUGHT_UP_WITHIN_S, async () => {
    const soonMs = await inTwoSeconds(stage);
    const due = await Promise.all(slices.map((slice) => client.zcount(keys.due(slice), '-inf', soonMs)));
    return due.every((count) => count === 0);
  });
}

/** Waits until none of these droplets is due within two seconds, whatever else is. */
export async function waitUntilNoneDue(stage: Stage, droplets: readonly string[]): Promise<void> {
  const { client, keys } = stage.redis;
  await until('none of the droplets due', BROUGHT_UP_WITHIN_S, async () => {
    const soonMs = await inTwoSeconds(stage);
    const due = await Promise.all(droplets.map((id) => client.zscore(keys.due(keys.sliceOf(id)), id)));
    return due.every((ms) => ms === null || Number(ms) > soonMs);
  });
}

/** Redis's time in two seconds (ms). */
async function inTwoSeconds({ redis }: Stage): Promise<number> {
  const [seconds] = await redis.client.time();
  return (Number(seconds) + 2) * 1000;
}

/** Waits for the first audit of every droplet, which runs ten times as fast as later ones. */
export async function firstAudit(stage: Stage, droplets: number): Promise<void> {
  await until(
    'the first audit',
    BROUGHT_UP_WITHIN_S,
    async () => (await totalsOf(stage)).droplets === droplets,
  );
}

/** The totals of the audits over all slices. */
export async function totalsOf({ redis }: Stage): Promise<Record<string, number>> {
  const { client, keys } = redis;
  const slices = await Promise.all(
    Array.from({ length: keys.slices }, (_, slice) => client.hgetall(keys.summary(slice))),
  );
  return Object.fromEntries(
    TOTALS.map((name) => [name, slices.reduce((sum, totals) => sum + Number(totals[name] ?? 0), 0)]),
  );
}

/** The counters of all ingestors since they started. */
export interface Intake {
  received: number;
  /** Equal to the previous heartbeat of their DEA, also those stored whole to find what Redis has lost. */
  equal: number;
  changed: number;
  /** Dropped, because a newer heartbeat of the same DEA arrived before they were stored. */
  coalesced: number;
  dropletsChanged: number;
}

export async function readIntake(stage: Stage): Promise<Intake> {
  const names = ['received', 'equal', 'verified', 'changed', 'coalesced'].map((name) => `heartbeats_${name}`);
  const counters = [...names, 'droplets_changed'].map((name) => `hm_${name}_total`);
  const [received, equal, verified, changed, coalesced, dropletsChanged] = (await stage.metrics(
    'ingest',
    counters,
  )) as [number, number, number, number, number, number];
  return { received, equal: equal + verified, changed, coalesced, dropletsChanged };
}

export const intakeSince = (now: Intake, before: Intake): Intake => ({
  received: now.received - before.received,
  equal: now.equal - before.equal,
  changed: now.changed - before.changed,
  coalesced: now.coalesced - before.coalesced,
  dropletsChanged: now.dropletsChanged - before.dropletsChanged,
});

/**
 * Stops all heartbeats and waits until those sent are stored or dropped. The caller must send heartbeats again before the
 * DEAs are lost.
 */
export async function stopHeartbeats(stage: Stage): Promise<HeartbeatTotals & { intake: Intake }> {
  const totals = await stage.cloud.call('stopHeartbeats', {});
  let intake = await readIntake(stage);
  // If a heartbeat is never counted, the comparison of the caller fails.
  const done = () => intake.equal + intake.changed + intake.coalesced === totals.sent;
  const deadlineMs = performance.now() + STORED_WITHIN_MS;
  while (!done() && performance.now() < deadlineMs) {
    await delay(POLL_MS);
    intake = await readIntake(stage);
  }
  return { ...totals, intake };
}
