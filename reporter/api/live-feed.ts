/** What the dashboard is told of the deployment, read from Redis once for all who watch. */

import { LogFollower } from '../../common/explain/follow-log.ts';
import { Stories } from '../../common/explain/stories.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { holdsFrom } from '../../common/redis/holds.ts';
import { readFleetFacts } from '../../common/redis/readers.ts';
import { readTimeline, type TimelinePoint } from '../../common/redis/timeline.ts';
import type { Fleet, HoldState } from '../../common/views/fleet.ts';
import { readTroubled } from '../../common/views/troubled.ts';
import type { DropletReader } from '../queries/droplet-reader.ts';
import { DeaMap, readAllDeas } from './deas.ts';
import { SilentDeas } from './silent-deas.ts';
import { placeholderOptions } from './time-placeholders.ts';
import type {
  FleetUpdate,
  HoldUpdate,
  LiveEvents,
  SilentUpdate,
  StoryUpdate,
  TroubledUpdate,
} from './types.ts';

export interface LiveSources {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  reader: DropletReader;
  fleet(): Promise<Fleet>;
}

/** An event for those who watch. */
export type LiveEvent = { [E in keyof LiveEvents]: { event: E; data: LiveEvents[E] } }[keyof LiveEvents];

/** Lines of the decision log that a newcomer gets. */
const LINES = 60;
/** Turns (about a second each) between two readings of what changes slowly. */
const FLEET_EVERY = 2;
const TIMELINE_EVERY = 10;

/**
 * The news, turn by turn. What has not changed since the turn before is not told again; whoever comes later is told
 * all that still holds.
 */
export class LiveFeed {
  readonly #sources: LiveSources;
  readonly #follower = new LogFollower();
  readonly #stories = new Stories();
  readonly #map = new DeaMap();
  readonly #silentDeas: SilentDeas;
  #turns = 0;
  #lines: StoryUpdate[] = [];
  #points: TimelinePoint[] = [];
  #fleet: FleetUpdate | undefined;
  #silent: SilentUpdate | undefined;
  #troubled: TroubledUpdate | undefined;

  constructor(sources: LiveSources) {
    this.#sources = sources;
    this.#silentDeas = new SilentDeas(sources);
  }

  /** Reads Redis once. @returns what is new */
  async poll(): Promise<LiveEvent[]> {
    const turn = this.#turns;
    const { redis, clock, policy, reader, fleet } = this.#sources;
    const nowMs = clock.nowMs();
    const [deas, facts, entries, fleetNow, points] = await Promise.all([
      readAllDeas(redis, nowMs, policy),
      readFleetFacts(redis),
      turn === 0 ? this.#follower.begin(redis, LINES) : this.#follower.read(redis),
      turn % FLEET_EVERY === 0 ? fleet() : undefined,
      turn % TIMELINE_EVERY === 0 ? readTimeline(redis, nowMs) : undefined,
    ]);
    const holds = holdsFrom(facts, nowMs, policy);
    const [silent, troubled] = await Promise.all([
      this.#silentDeas.read(deas, holds),
      readTroubled(redis, reader, holds, policy),
    ]);
    this.#turns = turn + 1;
    const lines = this.#stories.append(entries, placeholderOptions(policy));
    this.#lines = [...this.#lines, ...lines].slice(-LINES);
    const events: LiveEvent[] = [];
    const map = this.#map.update(deas);
    if (map.cells.length > 0 || map.gone.length > 0) events.push({ event: 'deas', data: map });
    if (differs(silent, this.#silent)) events.push({ event: 'silent', data: silent });
    if (differs(troubled, this.#troubled)) events.push({ event: 'troubled', data: troubled });
    if (lines.length > 0) events.push({ event: 'story', data: { lines } });
    [this.#silent, this.#troubled] = [silent, troubled];
    if (fleetNow !== undefined) {
      const news = fleetUpdate(fleetNow, policy);
      if (differs(news, this.#fleet)) events.push({ event: 'fleet', data: news });
      this.#fleet = news;
    }
    if (points !== undefined) {
      const latestMs = this.#points.at(-1)?.atMs ?? 0;
      const fresh = points.filter(({ atMs }) => atMs > latestMs);
      if (fresh.length > 0) events.push({ event: 'timeline', data: { points: fresh } });
      this.#points = points;
    }
    return events;
  }

  /** All that holds now, for a newcomer; nothing before the first turn. */
  all(): LiveEvent[] {
    const [fleet, silent, troubled] = [this.#fleet, this.#silent, this.#troubled];
    if (fleet === undefined || silent === undefined || troubled === undefined) return [];
    return [
      { event: 'fleet', data: fleet },
      { event: 'silent', data: silent },
      { event: 'troubled', data: troubled },
      { event: 'deas', data: { all: true, cells: this.#map.cells, gone: [] } },
      { event: 'story', data: { all: true, lines: this.#lines } },
      { event: 'timeline', data: { all: true, points: this.#points } },
    ];
  }
}

function differs(now: object, before: object | undefined): boolean {
  return before === undefined || JSON.stringify(now) !== JSON.stringify(before);
}

function fleetUpdate({ totals, holds, deas, queues, sync }: Fleet, policy: PolicySettings): FleetUpdate {
  const { succeededMs, durationMs, listed } = sync;
  return {
    totals,
    holds: holds.filter(({ on }) => on).map((hold) => holdUpdate(hold, policy)),
    deas,
    queues,
    sync: {
      ...(succeededMs === undefined ? {} : { succeededMs }),
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(listed === undefined ? {} : { listed }),
    },
  };
}

function holdUpdate({ hold, sinceMs, droplets }: HoldState, policy: PolicySettings): HoldUpdate {
  const releasable = hold === 'mass_loss' || hold === 'mass_delete';
  const news: HoldUpdate = { hold, droplets, releasable };
  if (sinceMs === undefined) return news;
  const lastsMs =
    hold === 'mass_loss'
      ? policy.massLoss.holdMs
      : hold === 'mass_delete'
        ? policy.massDelete.holdMs
        : undefined;
  return { ...news, sinceMs, ...(lastsMs === undefined ? {} : { untilMs: sinceMs + lastsMs }) };
}
