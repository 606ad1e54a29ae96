import type { Queue } from 'bullmq';
import { Gauge, type Registry } from 'prom-client';
import { decidedMsOf } from '../../common/model/decision-id.ts';
import type { QueueName } from '../../common/queues/queues.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';

const STATES = ['waiting', 'delayed', 'active'] as const;
/** `cron` has its one next tick in it, always. */
const COUNTED = ['starts', 'restarts', 'stops', 'slices', 'sync'] as const satisfies QueueName[];
type Counted = (typeof COUNTED)[number];
/** BullMQ's score of a job is its priority times this, and its place within it. */
const PRIORITY_WIDTH = 2 ** 32;

interface Sources {
  redis: RedisConnections;
  clock: Clock;
  queues: Readonly<Record<Counted, Queue>>;
}

interface QueueStates {
  lengths: Record<Counted, Record<(typeof STATES)[number], number>>;
  /** For how long the oldest start or stop that is to leave has waited (ms); 0 where none waits. */
  oldestMs: Record<'starts' | 'restarts' | 'stops', number>;
}

/**
 * Gauges of the queues, read when they are scraped. Every reporter gives the same ones.
 *
 * @param inTime runs a reading; gives `undefined` where Redis is away: then the gauges have no values
 */
export function queueMetrics(
  registry: Registry,
  sources: Sources,
  inTime: <T>(read: () => Promise<T>) => Promise<T | undefined>,
): void {
  new Gauge({
    name: 'hm_queue_length',
    help: 'Jobs by what they wait for: waiting (for a worker or the rate limit), delayed (until they are due); active: worked on',
    labelNames: ['queue', 'state'],
    registers: [registry],
    async collect() {
      const lengths = await inTime(() => readLengths(sources));
      this.reset();
      for (const [queue, states] of Object.entries(lengths ?? {})) {
        for (const [state, length] of Object.entries(states)) this.set({ queue, state }, length);
      }
    },
  });
  new Gauge({
    name: 'hm_queue_oldest_seconds',
    help: 'For how long the oldest start or stop in the queue has waited, restarts from when they were due; 0: none waits',
    labelNames: ['queue'],
    registers: [registry],
    async collect() {
      const oldest = await inTime(() => readOldest(sources));
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

/** By the times in the ids of decisions, which are Redis's, not by those of jobs, which are of whoever made them. */
async function readOldest({ redis, clock, queues }: Sources): Promise<QueueStates['oldestMs']> {
  const { starts, restarts, stops } = queues;
  const heads = redis.scripts.listQueueHeads([starts.toKey('prioritized')], [PRIORITY_WIDTH]);
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

/** When the first of those that wait was to leave. */
async function readFirst(queue: Queue): Promise<(number | undefined)[]> {
  const [job] = await queue.getJobs(['waiting'], 0, 0, true);
  const decidedMs = decidedMsOf(job?.id ?? '');
  return decidedMs === undefined ? [] : [decidedMs + (job?.opts.delay ?? 0)];
}
