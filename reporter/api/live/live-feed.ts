/** The data of the dashboard, read from Redis once for all viewers. */
import { LogFollower } from '../../../common/explain/log/follow-log.ts';
import { Stories } from '../../../common/explain/shown/stories.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import { silenceStates } from '../../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { gapsFrom, holdsFrom } from '../../../common/redis/fleet/holds/holds.ts';
import { readDay, readTimeline, type TimelinePoint } from '../../../common/redis/fleet/timeline.ts';
import { readFleetFacts } from '../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { shownOf } from '../../../common/views/apps/troubled.ts';
import { readAllDeas } from '../../../common/views/deas.ts';
import type { Fleet, HoldState } from '../../../common/views/fleet.ts';
import { waitForNudger } from '../../../common/views/read-processes.ts';
import type { DropletReader } from '../../queries/droplet-reader.ts';
import { DeaMap } from '../deas.ts';
import { SilentDeas } from '../silent-deas.ts';
import { placeholderOptions } from '../time-placeholders.ts';
import type {
  FleetUpdate,
  HoldUpdate,
  LiveEvents,
  SilentUpdate,
  StoryUpdate,
  TroubledUpdate,
} from '../types.ts';

export interface LiveSources {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  reader: DropletReader;
  fleet(): Promise<Fleet>;
}

/** An event for the viewers. */
export type LiveEvent = { [E in keyof LiveEvents]: { event: E; data: LiveEvents[E] } }[keyof LiveEvents];

/** Lines of the decision log that a new viewer gets. */
const MAX_LINES = 60;
/** Data that changes slowly is read only every n-th poll (polls are about a second apart). */
const TIMELINE_EVERY = 10;
const DAY_EVERY = 60;

/** Each poll returns what has changed since the one before; `all` returns the full state, for a new viewer. */
export class LiveFeed {
  readonly #sources: LiveSources;
  readonly #follower = new LogFollower();
  readonly #stories = new Stories();
  readonly #map = new DeaMap();
  readonly #silentDeas: SilentDeas;
  #polls = 0;
  #lines: StoryUpdate[] = [];
  #points: TimelinePoint[] = [];
  #day: TimelinePoint[] = [];
  #fleet: FleetUpdate | undefined;
  #silent: SilentUpdate | undefined;
  #troubled: TroubledUpdate | undefined;

  constructor(sources: LiveSources) {
    this.#sources = sources;
    this.#silentDeas = new SilentDeas(sources);
  }

  /** Reads Redis once. @returns the changes */
  async poll(): Promise<LiveEvent[]> {
    const poll = this.#polls;
    const { redis, clock, policy, fleet } = this.#sources;
    const nowMs = clock.nowMs();
    const reading = readFleetFacts(redis);
    const [deas, facts, entries, fleetNow, points, day] = await Promise.all([
      reading.then((known) =>
        readAllDeas(redis, silenceStates(nowMs, gapsFrom(known, nowMs, policy), policy)),
      ),
      reading,
      poll === 0 ? this.#past() : this.#follower.read(redis),
      fleet(),
      poll % TIMELINE_EVERY === 0 ? readTimeline(redis, nowMs) : undefined,
      poll % DAY_EVERY === 0 ? readDay(redis, nowMs) : undefined,
    ]);
    const holds = holdsFrom(facts, nowMs, policy);
    const silent = await this.#silentDeas.read(deas, holds, waitForNudger(fleetNow.processes));
    const troubled = shownOf(fleetNow.troubled);
    this.#polls = poll + 1;
    const lines = this.#stories.append(entries, placeholderOptions(policy));
    this.#lines = [...this.#lines, ...lines].slice(-MAX_LINES);
    const events: LiveEvent[] = [];
    const map = this.#map.update(deas);
    if (map.cells.length > 0 || map.gone.length > 0) events.push({ event: 'deas', data: map });
    if (differs(silent, this.#silent)) events.push({ event: 'silent', data: silent });
    if (differs(troubled, this.#troubled)) events.push({ event: 'troubled', data: troubled });
    if (lines.length > 0) events.push({ event: 'story', data: { lines } });
    [this.#silent, this.#troubled] = [silent, troubled];
    const update = fleetUpdate(fleetNow, policy);
    if (differs(update, this.#fleet)) events.push({ event: 'fleet', data: update });
    this.#fleet = update;
    if (points !== undefined) {
      const latestMs = this.#points.at(-1)?.atMs ?? 0;
      const fresh = points.filter(({ atMs }) => atMs > latestMs);
      if (fresh.length > 0) events.push({ event: 'timeline', data: { points: fresh } });
      this.#points = points;
    }
    if (day !== undefined) {
      const latestMs = this.#day.at(-1)?.atMs ?? 0;
      const changed = day.filter(({ atMs }) => atMs > latestMs);
      if (changed.length > 0) events.push({ event: 'day', data: { points: changed } });
      this.#day = day;
    }
    return events;
  }

  async #past(): Promise<LogEntry[]> {
    const past = await this.#follower.begin(this.#sources.redis, { count: MAX_LINES, maxRead: MAX_LINES });
    return past.entries;
  }

  /** The full state; empty before the first poll. */
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
      { event: 'day', data: { all: true, points: this.#day } },
    ];
  }
}

function differs(now: object, before: object | undefined): boolean {
  return before === undefined || JSON.stringify(now) !== JSON.stringify(before);
}

function fleetUpdate(fleet: Fleet, policy: PolicySettings): FleetUpdate {
  const { unknown, slots, totals, holds, deas, processes, troubled, queues, sync } = fleet;
  const { succeededMs, durationMs, listed } = sync;
  return {
    ...(unknown && { unknown }),
    slots,
    totals,
    holds: holds.filter(({ on }) => on).map((hold) => holdUpdate(hold, policy)),
    deas,
    processes,
    troubled: troubled.count,
    queues,
    sync: {
      ...(succeededMs === undefined ? {} : { succeededMs }),
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(listed === undefined ? {} : { listed }),
    },
  };
}

function holdUpdate(
  { hold, sinceMs, droplets, silentDeas, takenOver, operatorHolds }: HoldState,
  policy: PolicySettings,
): HoldUpdate {
  const releasable = hold === 'mass_loss' || hold === 'mass_delete';
  const update: HoldUpdate = {
    hold,
    droplets,
    releasable,
    ...(silentDeas !== undefined && { silentDeas }),
    ...(takenOver && { takenOver }),
    ...(operatorHolds && { operatorHolds }),
  };
  if (sinceMs === undefined) return update;
  const maxDurationMs =
    hold === 'mass_loss'
      ? policy.massLoss.holdMs
      : hold === 'mass_delete'
        ? policy.massDelete.holdMs
        : undefined;
  return { ...update, sinceMs, ...(maxDurationMs === undefined ? {} : { untilMs: sinceMs + maxDurationMs }) };
}
