import type { Redis } from 'ioredis';
import { decodeReadDroplet } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { withRedis } from './world/observer.ts';
import type { World } from './world/world.ts';

/** Jobs of these queues end when the cloud is as it should be. */
const QUEUES = ['starts', 'stops', 'slices', 'sync'] as const;
const LISTS = ['wait', 'active', 'prioritized'] as const;
/** How a fault about a job begins. */
const JOB_LEFT = 'queue ';
/** A job whose worker stood still is taken again by the second check for such jobs (every five seconds), and then handled. */
const STALLED_JOB_MS = 15_000;
/** Keys at rest: some for the deployment, for each slice, queue and kept job, and for each app and DEA. */
const KEYS_FOR_DEPLOYMENT = 900;
const KEYS_FOR_EACH = 3;

/**
 * Checks what must hold in Redis while nothing happens: each record is in the index and each index entry has a record,
 * whatever waits in a record has a due entry, no work is left in a queue or an event stream, and nothing grows.
 *
 * @returns one line for each violation
 */
export function findFaultsAtRest(world: World): Promise<string[]> {
  return withRedis(world, (redis) => findFaults(redis, world));
}

/** How long such a fault may last after a recovery (ms), if it needs no time of its own. */
export function mayLastMs(fault: string): number {
  return fault.startsWith(JOB_LEFT) ? STALLED_JOB_MS : 0;
}

async function findFaults(redis: Redis, world: World): Promise<string[]> {
  const { keys } = world;
  const found: string[] = [];
  const records = new Set(
    (await redis.keys('hm:{*}:droplet:*')).map((key) => key.split(':').slice(3).join(':')),
  );
  const indexed = new Set<string>();
  for (const key of await redis.keys('hm:{*}:droplets:*'))
    for (const droplet of await redis.hkeys(key)) indexed.add(droplet);
  for (const droplet of records)
    if (!indexed.has(droplet)) found.push(`${droplet}: record without index entry`);
  for (const droplet of indexed)
    if (!records.has(droplet)) found.push(`${droplet}: index entry without record`);
  for (const droplet of records) {
    const reply = (await redis.call('HGETALL', keys.droplet(droplet))) as string[];
    const record = decodeReadDroplet(droplet, reply.join('\n'));
    if (record === undefined) continue;
    if (record instanceof Error) {
      found.push(`${droplet}: ${record.message}`);
      continue;
    }
    const waiting = [...record.slots].filter(([, slot]) => slot.start !== undefined).map(([index]) => index);
    if (waiting.length + record.stops.size === 0) continue;
    if ((await redis.zscore(keys.due(keys.sliceOf(droplet)), droplet)) === null)
      found.push(
        `${droplet}: no due entry, but a start at ${waiting.join()} or ${record.stops.size} stops wait`,
      );
  }
  for (const queue of QUEUES) {
    for (const list of LISTS) {
      const key = `${keys.queuePrefix}:${queue}:${list}`;
      const count = list === 'prioritized' ? await redis.zcard(key) : await redis.llen(key);
      // The tick and the audit go on.
      if (count > (queue === 'slices' || queue === 'sync' ? 2 : 0))
        found.push(`${JOB_LEFT}${queue}: ${count} ${list}`);
    }
  }
  for (const stream of keys.eventStreams) {
    const groups = (await redis.call('XINFO', 'GROUPS', stream).catch(() => [])) as unknown[][];
    for (const group of groups) {
      const pending = Number(group[group.indexOf('pending') + 1]);
      if (pending > 0) found.push(`${stream}: ${pending} events were read and not acknowledged`);
    }
  }
  const most = KEYS_FOR_DEPLOYMENT + KEYS_FOR_EACH * (records.size + world.cloud.deas.all.size);
  const size = await redis.dbsize();
  if (size > most) found.push(`${size} keys, expected at most ${most}`);
  return found;
}
