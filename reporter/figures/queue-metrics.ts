import type { Queue } from 'bullmq';
import { Gauge, type Registry } from 'prom-client';
import { decidedMsOf } from '../../common/model/decision-id.ts';
import type { QueueName } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { listQueueHeads } from '../../common/redis/scripts/fleet/list-queue-heads.ts';

const STATES = ['waiting', 'delayed', 'active'] as const;
/** Without `cron`, which always holds its one next tick. */
const COUNTED = ['starts', 'restarts', 'stops', 'slices', 'sync'] as const satisfies QueueName[];
type Counted = (typeof COUNTED)[number];

interface Sources {
  redis: RedisConnections;
  clock: Clock;
  queues: Readonly<Record<Counted, Queue>>;
}

interface QueueStates {
  lengths: Record<Counted, Record<(typeof STATES)[number], number>>;
  /** For how long the oldest start or stop in each queue has waited (ms); 0: none waits. */
  oldestMs: Record<'starts' | 'restarts' | 'stops', number>;
}

/**
 * Gauges of the queues, read from Redis at each scrape. Every reporter exports the same values.
 *
 * @param readRedis runs a read; resolves to undefined if Redis does not answer, and the gauges then have no values
 */
export function queueMetrics(
  registry: Registry,
  sources: Sources,
  readRedis: <T>(read: () => Promise<T>) => Promise<T | undefined>,
): void {
  new Gauge({
    name: 'hm_queue_length',
    help: 'Jobs by state: waiting (for a worker or the rate limit), delayed (until they are due) or active',
    labelNames: ['queue', 'state'],
    registers: [registry],
    async collect() {
      const lengths = await readRedis(() => readLengths(sources));
      this.reset();
      for (const [queue, states] of Object.entries(lengths ?? {})) {
        for (const [state, length] of Object.entries(states)) this.set({ queue, state }, length);
      }
    },
  });
  new Gauge({
    name: 'hm_queue_oldest_seconds',
    help: 'Time for which the oldest start or stop in the queue has waited, for restarts since they were due; 0: none waits',
    labelNames: ['queue'],
    registers: [registry],
    async collect() {
      const oldest = await readRedis(() => readOldest(sources));
      this.reset();
      for (const [queue, ms] of Object.entries(oldest ?? {})) this.set({ queue }, ms / 1000);
    },
  });
}

async function readLengths({ queues }: Sources): Promise<QueueStates['lengths']> {
  const lengths = await Promise.all(
    COUNTED.map(async (name) => {
      const {
        prioritized = 0,
        waiting = 0,
        ...others
      } = await queues[name].getJobCounts(...STATES, 'prioritized');
      return [
        name,
        { waiting: waiting + prioritized, delayed: others.delayed ?? 0, active: others.active ?? 0 },
      ];
    }),
  );
  return Object.fromEntries(lengths) as QueueStates['lengths'];
}

/** By the times in the decision ids, which are Redis's; the times of jobs are by the clock of the host that added them. */
async function readOldest({ redis, clock, queues }: Sources): Promise<QueueStates['oldestMs']> {
  const { starts, restarts, stops } = queues;
  const heads = listQueueHeads(redis, starts.toKey('prioritized'));
  const [startsMs, restartsMs, stopsMs] = await Promise.all([
    heads.then((ids) => ids.map(decidedMsOf)),
    readFirst(restarts),
    readFirst(stops),
  ]);
  const nowMs = clock.nowMs();
  const age = (times: (number | undefined)[]) =>
    Math.max(0, ...times.map((atMs) => (atMs === undefined ? 0 : nowMs - atMs)));
  return { starts: age(startsMs), restarts: age(restartsMs), stops: age(stopsMs) };
}

/** When the first waiting job was due (epoch ms). */
async function readFirst(queue: Queue): Promise<(number | undefined)[]> {
  const [job] = await queue.getJobs(['waiting'], 0, 0, true);
  const decidedMs = decidedMsOf(job?.id ?? '');
  return decidedMs === undefined ? [] : [decidedMs + (job?.opts.delay ?? 0)];
}
