import { type ConnectionOptions, Queue } from 'bullmq';
import { LogFollower } from '../../../../common/explain/follow-log.ts';
import { type LiveStoryLine, Stories } from '../../../../common/explain/stories.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import type { CounterName } from '../../../../common/redis/counters.ts';
import { holdsFrom } from '../../../../common/redis/holds.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { type Fleet, type FleetSources, readFleet } from '../../../../common/views/fleet.ts';
import type { Query } from '../connection/with-redis.ts';
import { readWorst, type Worst } from './worst-droplets.ts';

/** All that `hm top` shows at one moment. */
export interface Figures {
  fleet: Fleet;
  worst: Worst;
  /** Messages a second, over the last seconds; absent while only one sample was taken. */
  rates?: Record<CounterName, number>;
  /** The latest lines of the decision log, oldest first. */
  latest: readonly LiveStoryLine[];
  dryRun: boolean;
}

/** Rates are over so long: the processes store their counts once a second. */
const RATES_OVER_MS = 10_000;
const LATEST = 100;
/** The log is begun with so many entries of each slice. */
const BEGIN_WITH = 20;

interface Sample {
  atMs: number;
  counters: Record<CounterName, number>;
}

/** Reads the figures, again and again; what it needs of earlier readings it keeps. */
export class TopFigures {
  readonly #utc: boolean;
  readonly #follower = new LogFollower();
  readonly #stories = new Stories();
  #samples: Sample[] = [];
  #latest: LiveStoryLine[] = [];
  #begun = false;
  #queues: { of: unknown; queues: FleetSources['queues'] } | undefined;

  constructor(utc: boolean) {
    this.#utc = utc;
  }

  /** A few hundred small reads, sent together. */
  async read(query: Query): Promise<Figures> {
    const { redis, settings } = query;
    const nowMs = await query.now();
    const times = timesOf(nowMs, this.#utc);
    const { policy, dryRun } = settings;
    const fresh = this.#begun ? this.#follower.read(redis) : this.#follower.begin(redis, BEGIN_WITH);
    const [fleet, facts, entries] = await Promise.all([
      readFleet({ redis, clock: { nowMs: () => nowMs }, policy, queues: this.#queuesOf(query) }),
      readFleetFacts(redis),
      fresh,
    ]);
    this.#begun = true;
    this.#tell(entries, { times, flappingTimeoutMs: policy.flappingTimeoutMs });
    const worst = await readWorst(query, holdsFrom(facts, nowMs, policy), times);
    const rates = this.#ratesWith({ atMs: nowMs, counters: fleet.counters });
    return { fleet, worst, latest: this.#latest, dryRun, ...(rates && { rates }) };
  }

  /** Opened once a connection. */
  #queuesOf(query: Query): FleetSources['queues'] {
    if (this.#queues?.of !== query) this.#queues = { of: query, queues: openQueues(query) };
    return this.#queues.queues;
  }

  #tell(entries: readonly LogEntry[], options: Parameters<Stories['append']>[1]): void {
    this.#latest = [...this.#latest, ...this.#stories.append(entries, options)].slice(-LATEST);
  }

  #ratesWith(now: Sample): Record<CounterName, number> | undefined {
    this.#samples = [...this.#samples.filter(({ atMs }) => now.atMs - atMs <= RATES_OVER_MS), now];
    const [first] = this.#samples;
    const seconds = first === undefined ? 0 : (now.atMs - first.atMs) / 1000;
    if (first === undefined || seconds <= 0) return undefined;
    const rates = Object.entries(now.counters).map(([name, count]) => [
      name,
      Math.max(0, count - first.counters[name as CounterName]) / seconds,
    ]);
    return Object.fromEntries(rates) as Record<CounterName, number>;
  }
}

/** On the command's own connection, which they do not close; they write nothing. */
function openQueues({ redis }: Query): FleetSources['queues'] {
  const open = (name: string) => {
    const queue = new Queue(name, {
      connection: redis.client as unknown as ConnectionOptions,
      prefix: redis.keys.queuePrefix,
      skipMetasUpdate: true,
    });
    queue.on('error', () => undefined); // what fails is seen by who waits for the answer
    return queue;
  };
  return { starts: open('starts'), restarts: open('restarts'), stops: open('stops') };
}
