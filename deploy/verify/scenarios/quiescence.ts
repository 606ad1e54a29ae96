import { setTimeout as delay } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import type { QueueName } from '../../../common/queues/queues.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connections.ts';
import { decodeDroplet } from '../../../common/redis/record-codec.ts';

/** Who works on which queue. */
const WORKERS = {
  starts: 'nudger',
  restarts: 'nudger',
  stops: 'nudger',
  slices: 'analyzer',
  sync: 'sync',
} as const;

type Watched = keyof typeof WORKERS;

/** What is left to do in Redis: whether a deployment is at rest as long as the clock stands. */
export class Rest {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #queues = new Map<Watched, Queue>();
  readonly #held = new Set<Watched>();

  constructor(redis: RedisConnections, clock: Clock, open: (name: QueueName) => Queue) {
    this.#redis = redis;
    this.#clock = clock;
    for (const name of Object.keys(WORKERS) as Watched[]) this.#queues.set(name, open(name));
  }

  queue(name: Watched): Queue {
    return this.#queues.get(name) as Queue;
  }

  /** Nothing of this queue is begun until `release`. */
  async hold(name: Watched): Promise<void> {
    this.#held.add(name);
    await this.queue(name).pause();
  }

  async release(name: Watched): Promise<void> {
    this.#held.delete(name);
    await this.queue(name).resume();
  }

  /** Whether one of the processes that run has something in hand, or will take something up at once. */
  async isBusy(runs: (process: string) => boolean): Promise<boolean> {
    const queues = [...this.#queues].filter(([name]) => runs(WORKERS[name]) && !this.#held.has(name));
    const busy = await Promise.all([
      ...queues.map(([name, queue]) => hasWork(name, queue)),
      ...(runs('analyzer') ? this.#redis.keys.eventStreams.map((stream) => this.#hasEvents(stream)) : []),
    ]);
    return busy.includes(true);
  }

  async #hasEvents(stream: string): Promise<boolean> {
    const { client } = this.#redis;
    const [last, groups] = (await Promise.all([
      client.xrevrange(stream, '+', '-', 'COUNT', 1),
      client.call('XINFO', 'GROUPS', stream).catch(() => []),
    ])) as [[string, string[]][], unknown[][]];
    if (last[0] === undefined) return false;
    // Nobody has made the group yet: someone will, and read all.
    if (groups.length === 0) return true;
    return groups.some((group) => {
      const field = (name: string) => group[group.indexOf(name) + 1];
      return field('pending') !== 0 || field('last-delivered-id') !== last[0]?.[0];
    });
  }

  /** How many droplets must be looked at now. */
  async due(): Promise<number> {
    const { client, keys } = this.#redis;
    const nowMs = this.#clock.nowMs();
    const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
    const counts = await Promise.all(slices.map((slice) => client.zcount(keys.due(slice), '-inf', nowMs)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * BullMQ's own timers go by real time. Here they go by the world's clock: a restart whose time has come leaves,
   * and what waits for a bulk pass is looked at again.
   */
  async passTimers(): Promise<void> {
    for (const name of ['starts', 'restarts'] as const) {
      for (const job of await this.queue(name).getDelayed()) {
        if (name === 'starts' || (await this.#isDue(job))) await promoted(job);
      }
    }
  }

  async #isDue({ data }: Job): Promise<boolean> {
    const { client, keys } = this.#redis;
    const { droplet, index } = data as { droplet: string; index: number };
    const reply = (await client.call('HGETALL', keys.droplet(droplet))) as string[];
    const start = decodeDroplet(droplet, reply)?.slots.get(index)?.start;
    return (start?.dueMs ?? 0) <= this.#clock.nowMs();
  }
}

async function hasWork(name: Watched, queue: Queue): Promise<boolean> {
  const {
    active = 0,
    waiting = 0,
    prioritized = 0,
  } = await queue.getJobCounts('active', 'waiting', 'prioritized');
  if (active > 0) return true;
  if (waiting + prioritized === 0) return false;
  // What the rate limit keeps back waits for real time.
  return name !== 'starts' || (await queue.getRateLimitTtl()) <= 0;
}

/** Between two looks at what is not at rest yet. */
export const aMoment = () => delay(2);

/** Its real time may have come, or an analyzer have taken it back, since it was found to be delayed. */
async function promoted(job: Job): Promise<void> {
  try {
    await job.promote();
  } catch (error) {
    if (await job.isDelayed()) throw error;
  }
}
