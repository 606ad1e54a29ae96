import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from './fleet.ts';
import type { Stage } from './stage.ts';

/** Heartbeats come so often (contract: messages in). */
export const HEARTBEAT_MS = 10_000;
const POLL_MS = 100;

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
export async function bringUp(stage: Stage, instances: number, options: { sync: boolean }): Promise<void> {
  const { redis, cloud } = stage;
  const deas = instances / PER_DEA;
  await cloud.ask('beat', { deas, periodMs: HEARTBEAT_MS, changes: 0 });
  await until(
    `${deas} DEAs heard`,
    180,
    async () => (await redis.client.zcard(redis.keys.deasHeard)) === deas,
  );
  await until(
    `${deas} digests stored`,
    180,
    async () => (await redis.client.hlen(redis.keys.deasDigest)) === deas,
  );
  if (!options.sync) return;
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
