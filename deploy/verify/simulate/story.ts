import type { Redis } from 'ioredis';
import { storyOf } from '../../../common/explain/explain.ts';
import { factsOf } from '../../../common/explain/facts.ts';
import { readLog } from '../../../common/explain/log/read-log.ts';
import { timesOf } from '../../../common/explain/wording.ts';
import { typedQueueKeys } from '../../../common/queues/queue-keys.ts';
import type { Keys } from '../../../common/redis/keys.ts';
import { INTERVALS } from '../chaos/settings.ts';
import { withRedis } from './world/observer.ts';
import type { World } from './world/world.ts';

const GUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
/** Of several problems, the first ones are enough to see what happened. */
const DROPLETS = 2;
const LINES = 60;

/** The stories of the droplets that the problems name, what was true about them, and what the processes logged. */
export async function tellStories(world: World, problems: readonly string[]): Promise<string[]> {
  const droplets = new Set(problems.flatMap((problem) => GUID.exec(problem)?.[0] ?? []));
  const nowMs = world.within(() => Date.now());
  const times = timesOf(nowMs, true);
  const lines: string[] = [];
  for (const droplet of [...droplets].slice(0, DROPLETS)) {
    const { keys } = world;
    const entries = await withRedis(world, (redis) =>
      read(
        readLog({ client: redis as never, keys }, droplet, LINES).then((log) => log.entries),
        [],
      ),
    );
    const facts = factsOf(entries, undefined);
    const options = { times, flappingTimeoutMs: INTERVALS.flapping_timeout * 1000 };
    lines.push(`app ${droplet}, as the health manager explains it:`);
    for (const { atMs, text } of storyOf(facts, undefined, options))
      lines.push(`  ${times.at(atMs)}  ${text}`);
    lines.push('  in Redis:', ...(await withRedis(world, (redis) => stored(redis, keys, droplet))));
    lines.push('  instances:');
    for (const instance of world.cloud.deas.instancesOf(droplet, { ended: true })) {
      const { dea, ...known } = instance;
      lines.push(`  ${JSON.stringify({ ...known, dea: dea.id, isConnected: dea.connected })}`);
    }
  }
  lines.push('the fleet in Redis:', ...(await withRedis(world, (redis) => storedFleet(redis, world.keys))));
  const startMs = nowMs - world.machine.time.passedMs;
  lines.push('what was true (seconds since the start):');
  for (const { atMs, ...line } of world.truth.slice(-LINES))
    lines.push(`  ${(atMs / 1000).toFixed(3)}  ${times.at(startMs + atMs)}  ${JSON.stringify(line)}`);
  lines.push('what the processes logged last:');
  for (const { name, lines: own } of world.copies)
    for (const line of own.slice(-12)) lines.push(`  ${name}: ${JSON.stringify(line).slice(0, 400)}`);
  return lines;
}

/** The history may end while a key has another type: that fault is told by the history. */
function read<T>(reply: Promise<T>, otherType: T): Promise<T> {
  return reply.catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return otherType;
    throw error;
  });
}

async function stored(redis: Redis, keys: Keys, droplet: string): Promise<string[]> {
  const [record, index, due] = await Promise.all([
    read(redis.hgetall(keys.droplet(droplet)), {}),
    read(redis.hget(keys.indexOf(droplet), droplet), null),
    read(redis.zscore(keys.due(keys.sliceOf(droplet)), droplet), null),
  ]);
  return [`  index ${index === null ? 'without it' : 'with it'}, due ${due}`, ...fieldsOf(record)];
}

async function storedFleet(redis: Redis, keys: Keys): Promise<string[]> {
  const lines: string[] = [];
  for (const key of [keys.holds, keys.listening, keys.syncState, keys.scan])
    lines.push(`  ${key}`, ...fieldsOf(await read(redis.hgetall(key), {})));
  for (const key of [keys.deasLastHeartbeat, keys.deasLost])
    lines.push(`  ${key} ${(await read(redis.zrange(key, '0', '-1', 'WITHSCORES'), [])).join(' ')}`);
  return [...lines, ...(await storedJobs(redis, keys))];
}

/** What waits in the queues, and all jobs of the cron and sync queues, which are few. */
async function storedJobs(redis: Redis, keys: Keys): Promise<string[]> {
  const lines: string[] = [];
  for (const [key, type] of typedQueueKeys(keys.queuePrefix)) {
    const held =
      type === 'list'
        ? await read(redis.lrange(key, '0', '19'), ['of another type'])
        : type === 'zset'
          ? await read(redis.zrange(key, '0', '19', 'WITHSCORES'), ['of another type'])
          : [];
    if (held.length > 0) lines.push(`  ${key} ${held.join(' ')}`);
  }
  for (const queue of ['cron', 'sync']) {
    const found = await redis.keys(`${keys.queuePrefix}:${queue}:*`);
    for (const key of found.sort())
      if ((await redis.hexists(key, 'timestamp').catch(() => 0)) === 1)
        lines.push(`  ${key}`, ...fieldsOf(await read(redis.hgetall(key), {})));
  }
  return lines;
}

const fieldsOf = (hash: Record<string, string>) =>
  Object.entries(hash).map(([field, value]) => `    ${field}: ${value}`);
