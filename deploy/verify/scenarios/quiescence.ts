import { setTimeout as delay } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import type { QueueName } from '../../../common/queues/queues.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { decodeDroplet } from '../../../common/redis/records/record-codec.ts';

/** Which process works on which queue. */
const WORKERS = {
  starts: 'nudger',
  restarts: 'nudger',
  stops: 'nudger',
  slices: 'analyzer',
  sync: 'sync',
} as const;

type WatchedQueue = keyof typeof WORKERS;

/** Whether any work is left in Redis that the processes would do while the clock stands still. */
export class Quiescence {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #queues = new Map<WatchedQueue, Queue>();
  readonly #paused = new Set<WatchedQueue>();

  constructor(redis: RedisConnections, clock: Clock, open: (name: QueueName) => Queue) {
    this.#redis = redis;
    this.#clock = clock;
    for (const name of Object.keys(WORKERS) as WatchedQueue[]) this.#queues.set(name, open(name));
  }

  queue(name: WatchedQueue): Queue {
    return this.#queues.get(name) as Queue;
  }

  /** No job of this queue starts until `resume`. */
  async pause(name: WatchedQueue): Promise<void> {
    this.#paused.add(name);
    await this.queue(name).pause();
  }

  async resume(name: WatchedQueue): Promise<void> {
    this.#paused.delete(name);
    await this.queue(name).resume();
  }

  /** Whether one of the running processes has a job or an event in hand, or will take one at once. */
  async isBusy(runs: (process: string) => boolean): Promise<boolean> {
    const queues = [...this.#queues].filter(([name]) => runs(WORKERS[name]) && !this.#paused.has(name));
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
    // The analyzer has not created its group yet; it will read the whole stream.
    if (groups.length === 0) return true;
    return groups.some((group) => {
      const field = (name: string) => group[group.indexOf(name) + 1];
      return field('pending') !== 0 || field('last-delivered-id') !== last[0]?.[0];
    });
  }

  /** How many droplets must be reconciled now. */
  async dueCount(): Promise<number> {
    const { client, keys } = this.#redis;
    const nowMs = this.#clock.nowMs();
    const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
    const counts = await Promise.all(slices.map((slice) => client.zcount(keys.due(slice), '-inf', nowMs)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Does the work of BullMQ's timers, which follow real time, by the deployment's clock: it promotes restarts that are due
   * and starts that wait for a bulk pass.
   */
  async promoteDueJobs(): Promise<void> {
    for (const name of ['starts', 'restarts'] as const) {
      for (const job of await this.queue(name).getDelayed()) {
        if (name === 'starts' || (await this.#isDue(job))) await promote(job);
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

async function hasWork(name: WatchedQueue, queue: Queue): Promise<boolean> {
  const {
    active = 0,
    waiting = 0,
    prioritized = 0,
  } = await queue.getJobCounts('active', 'waiting', 'prioritized');
  if (active > 0) return true;
  if (waiting + prioritized === 0) return false;
  // Jobs that the rate limit holds back wait for real time.
  return name !== 'starts' || (await queue.getRateLimitTtl()) <= 0;
}

/** The pause between two checks. */
export const pollPause = () => delay(2);

/** Promotes a delayed job, which BullMQ's timer may have promoted or an analyzer may have removed meanwhile. */
async function promote(job: Job): Promise<void> {
  try {
    await job.promote();
  } catch (error) {
    if (await job.isDelayed()) throw error;
  }
}
