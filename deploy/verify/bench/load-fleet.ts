import { setTimeout as delay } from 'node:timers/promises';
import { TOTALS } from '../../../common/redis/summary.ts';
import { PER_DEA } from './fleet.ts';
import type { Told } from './protocol.ts';
import type { Stage } from './stage.ts';

/** A DEA is heard so often. */
export const HEARTBEAT_MS = 10_000;
/** Storing a DEA that was never heard takes about so long. */
const NEW_DEA_MS = 5;
const POLL_MS = 100;
/** What was received is stored within this. */
const STORED_AT_MOST_MS = 60_000;

/** Waits for something to become true. @throws Error that says what was waited for */
export async function until(what: string, atMostS: number, done: () => Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + atMostS * 1000;
  while (!(await done())) {
    if (performance.now() > giveUpMs) throw new Error(`after ${atMostS} s still not: ${what}`);
    await delay(POLL_MS);
  }
}

/** The latest complete pass of the sync: when it began and ended (ms on Redis's clock); undefined before the first. */
export async function lastPass({
  redis,
}: Stage): Promise<{ begunMs: number; succeededMs: number } | undefined> {
  const [begun, succeeded] = await redis.client.hmget(redis.keys.syncState, 'completed', 'succeeded');
  return begun && succeeded ? { begunMs: Number(begun), succeededMs: Number(succeeded) } : undefined;
}

/**
 * Brings a fleet up as a cloud that has long been running is found: heartbeats first, so that nothing is missing
 * when the desired state comes. Needs `ingest`; starts `sync` if it is asked to.
 */
export async function bringUp(
  stage: Stage,
  instances: number,
  { heartbeatMs, sync }: { heartbeatMs: number; sync: boolean },
): Promise<void> {
  const { redis, cloud } = stage;
  const deas = instances / PER_DEA;
  // Not faster than they can be stored: what is said again meanwhile would only be in the way.
  await cloud.ask('beat', {
    deas,
    periodMs: Math.max(heartbeatMs, Math.min(deas * NEW_DEA_MS, HEARTBEAT_MS)),
    changes: 0,
  });
  await until(
    `${deas} DEAs heard`,
    180,
    async () => (await redis.client.zcard(redis.keys.deasLastHeartbeat)) === deas,
  );
  await until(
    `${deas} digests stored`,
    180,
    async () => (await redis.client.hlen(redis.keys.deasDigest)) === deas,
  );
  await cloud.ask('beat', { deas, periodMs: heartbeatMs, changes: 0 });
  if (!sync) return;
  await stage.start('sync');
  await until('a complete pass', 300, async () => (await lastPass(stage)) !== undefined);
}

/** Droplets that are due now or soon are looked at before what is measured begins. */
export async function calm(stage: Stage): Promise<void> {
  const { client, keys } = stage.redis;
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  await until('nothing due', 300, async () => {
    const [seconds] = await client.time();
    const due = await Promise.all(
      slices.map((slice) => client.zcount(keys.due(slice), '-inf', (Number(seconds) + 2) * 1000)),
    );
    return due.every((count) => count === 0);
  });
}

/** What the ingestors have counted since they began, all together. */
/** Until it has counted every droplet once the audit goes ten times as fast as it does ever after. */
export async function firstAudit(stage: Stage, droplets: number): Promise<void> {
  await until('the first audit', 300, async () => (await totalsOf(stage)).droplets === droplets);
}

/** What the audits have counted, all slices together. */
export async function totalsOf({ redis }: Stage): Promise<Record<string, number>> {
  const { client, keys } = redis;
  const slices = await Promise.all(
    Array.from({ length: keys.slices }, (_, slice) => client.hgetall(keys.summary(slice))),
  );
  return Object.fromEntries(
    TOTALS.map((name) => [name, slices.reduce((sum, totals) => sum + Number(totals[name] ?? 0), 0)]),
  );
}

export interface Intake {
  received: number;
  equal: number;
  changed: number;
  /** Dropped, as a newer one of the same DEA was there before they were stored. */
  overtaken: number;
  dropletsChanged: number;
}

export async function readIntake(stage: Stage): Promise<Intake> {
  const count = (name: string) => stage.metric('ingest', `hm_${name}_total`);
  const [received, equal, changed, overtaken, dropletsChanged] = await Promise.all([
    count('heartbeats_received'),
    count('heartbeats_equal'),
    count('heartbeats_changed'),
    count('heartbeats_overtaken'),
    count('droplets_changed'),
  ]);
  return { received, equal, changed, overtaken, dropletsChanged } as Intake;
}

export const intakeSince = (now: Intake, before: Intake): Intake => ({
  received: now.received - before.received,
  equal: now.equal - before.equal,
  changed: now.changed - before.changed,
  overtaken: now.overtaken - before.overtaken,
  dropletsChanged: now.dropletsChanged - before.dropletsChanged,
});

/**
 * Silences the fleet until all that it said is stored or dropped, and tells what that was. Somebody must go on with
 * `beat` before the silence is taken for a loss.
 */
export async function hush(stage: Stage): Promise<Told & { intake: Intake }> {
  const told = await stage.cloud.ask('hush', {});
  let intake = await readIntake(stage);
  // What is neither stored nor dropped will be; where it never is, the comparison says so.
  const done = () => intake.equal + intake.changed + intake.overtaken === told.sent;
  const giveUpMs = performance.now() + STORED_AT_MOST_MS;
  while (!done() && performance.now() < giveUpMs) {
    await delay(POLL_MS);
    intake = await readIntake(stage);
  }
  return { ...told, intake };
}
