import { type ConnectionOptions, Queue } from 'bullmq';
import { LogFollower } from '../../../../common/explain/log/follow-log.ts';
import { type LiveStoryLine, Stories } from '../../../../common/explain/shown/stories.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import type { CounterName } from '../../../../common/redis/fleet/counters.ts';
import { holdsFrom } from '../../../../common/redis/fleet/holds/holds.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import type { AppRow } from '../../../../common/views/apps/app-list-types.ts';
import { type Fleet, type FleetSources, readFleet, statusOfFleet } from '../../../../common/views/fleet.ts';
import { waitForNudger } from '../../../../common/views/read-processes.ts';
import type { Status } from '../../../../common/views/status.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import { readApps } from './read-apps.ts';
import { readStory, type Story } from './story.ts';
import { FIRST_VIEW, type View } from './view.ts';

/** What `hm top` shows. */
export interface Figures {
  /** In one sentence, as on the dashboard. */
  status: Status;
  fleet: Fleet;
  /** Those that the view asks for; without a view those that need attention, worst first. */
  apps: readonly AppRow[];
  /** More apps than that. */
  moreApps: boolean;
  /** Of the app that the view names. */
  story?: Story;
  /** Messages per second, averaged over RATE_WINDOW_MS; absent after the first reading. */
  rates?: Record<CounterName, number>;
  /** The latest lines of the decision log, newest first. */
  latest: readonly LiveStoryLine[];
  dryRun: boolean;
}

/** Rates are averaged over this window, because the processes store their counts only once a second. */
const RATE_WINDOW_MS = 10_000;
/** Lines of the decision log that are kept. */
const MAX_LATEST = 100;

interface Sample {
  atMs: number;
  counters: Record<CounterName, number>;
}

/** Reads the figures repeatedly, and keeps what rates and stories need of earlier readings. */
export class TopFigures {
  readonly #utc: boolean;
  readonly #follower = new LogFollower();
  readonly #stories = new Stories();
  #samples: Sample[] = [];
  #latest: LiveStoryLine[] = [];
  #started = false;
  #queues: { session: RedisSession; queues: FleetSources['queues'] } | undefined;

  constructor(utc: boolean) {
    this.#utc = utc;
  }

  /** Sends a few hundred small reads together. */
  async read(session: RedisSession, view: View = FIRST_VIEW): Promise<Figures> {
    const { redis, settings } = session;
    const nowMs = await session.now();
    const times = timesOf(nowMs, this.#utc);
    const { policy, dryRun } = settings;
    const newEntries = this.#started ? this.#follower.read(redis) : this.#past(redis);
    const [fleet, facts, entries] = await Promise.all([
      readFleet({ redis, clock: { nowMs: () => nowMs }, policy, queues: this.#queuesOf(session) }),
      readFleetFacts(redis),
      newEntries,
    ]);
    this.#started = true;
    this.#append(entries, { times, flappingTimeoutMs: policy.flappingTimeoutMs });
    const workers = waitForNudger(fleet.processes);
    const holds = holdsFrom(facts, nowMs, policy);
    const [found, story] = await Promise.all([
      readApps(session, fleet, view, { holds, workers }),
      view.story && readStory(session, view.story.droplet, { holds, workers, unknown: fleet.unknown }, times),
    ]);
    const rates = this.#ratesWith({ atMs: nowMs, counters: fleet.counters });
    return {
      status: statusOfFleet(fleet),
      fleet,
      ...found,
      ...(story && { story }),
      latest: this.#latest,
      dryRun,
      ...(rates && { rates }),
    };
  }

  async #past(redis: RedisSession['redis']): Promise<LogEntry[]> {
    return (await this.#follower.begin(redis, { count: MAX_LATEST, maxRead: MAX_LATEST })).entries;
  }

  /** Opened once for each connection. */
  #queuesOf(session: RedisSession): FleetSources['queues'] {
    if (this.#queues?.session !== session) this.#queues = { session, queues: openQueues(session) };
    return this.#queues.queues;
  }

  #append(entries: readonly LogEntry[], options: Parameters<Stories['append']>[1]): void {
    const lines = this.#stories.append(entries, options).reverse();
    this.#latest = [...lines, ...this.#latest].slice(0, MAX_LATEST);
  }

  #ratesWith(now: Sample): Record<CounterName, number> | undefined {
    this.#samples = [...this.#samples.filter(({ atMs }) => now.atMs - atMs <= RATE_WINDOW_MS), now];
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

/** On the command's connection, which they do not close. They write nothing. */
function openQueues({ redis }: RedisSession): FleetSources['queues'] {
  const open = (name: string) => {
    const queue = new Queue(name, {
      connection: redis.client as unknown as ConnectionOptions,
      prefix: redis.keys.queuePrefix,
      skipMetasUpdate: true,
    });
    queue.on('error', () => undefined); // the failed call rejects, too
    return queue;
  };
  return { starts: open('starts'), restarts: open('restarts'), stops: open('stops') };
}
