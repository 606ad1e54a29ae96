/**
 * The events of `/api/live` reduced to one state for the page.
 *
 *     connecting --(first tick)--> live --(no tick for 6 s, or the connection breaks)--> lost --(tick)--> live
 */
import { useEffect, useState } from 'preact/hooks';
import { LONG_STEP_MS } from '../../common/redis/fleet/timeline.ts';
import type {
  DeaCell,
  FleetUpdate,
  LiveEvents,
  SilentUpdate,
  StoryUpdate,
  TroubledUpdate,
} from '../api/types.ts';
import { serverNow, setServerTime } from './elements/clock.ts';

type Points = LiveEvents['timeline']['points'];

export interface Live {
  connection: 'connecting' | 'live' | 'lost';
  /** While the data is not current: the time that it shows (epoch ms on Redis's clock). */
  asOfMs?: number | undefined;
  /** Why the reporter has no current data; absent while it has. */
  unavailable?: string;
  hello?: LiveEvents['hello'];
  fleet?: FleetUpdate;
  silent?: SilentUpdate;
  troubled?: TroubledUpdate;
  deas: ReadonlyMap<string, DeaCell>;
  /** Oldest first. */
  lines: readonly StoryUpdate[];
  /** Of the last hour, and of the last day in long steps. */
  points: Points;
  day: Points;
}

const MAX_LINES = 60;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Ticks come once a second. */
const LOST_AFTER_MS = 6_000;

const NOTHING: Live = { connection: 'connecting', deas: new Map(), lines: [], points: [], day: [] };

type Change = { [E in keyof LiveEvents]: (live: Live, data: LiveEvents[E]) => Live };

/** Applies each event to the state. Pure. */
const CHANGE: Change = {
  hello: (live, hello) => ({ ...live, hello }),
  tick: (live) => {
    if (live.connection === 'live' && live.unavailable === undefined) return live;
    const { unavailable: _, asOfMs: __, ...rest } = live;
    return { ...rest, connection: 'live' };
  },
  unavailable: (live, { problem }) => ({ ...live, unavailable: problem }),
  fleet: (live, fleet) => ({ ...live, fleet }),
  silent: (live, silent) => ({ ...live, silent }),
  troubled: (live, troubled) => ({ ...live, troubled }),
  deas: (live, { all, cells, gone }) => {
    const deas = new Map(all ? [] : live.deas);
    for (const cell of cells) deas.set(cell[0], cell);
    for (const dea of gone) deas.delete(dea);
    return { ...live, deas };
  },
  story: (live, { all, lines }) => ({
    ...live,
    lines: (all ? lines : [...live.lines, ...lines]).slice(-MAX_LINES),
  }),
  timeline: (live, { all, points }) => ({
    ...live,
    points: lastOf(all ? points : [...live.points, ...points], HOUR_MS),
  }),
  day: (live, { all, points }) => {
    const changed = new Set(points.map(longStepOf));
    const before = all ? [] : live.day.filter((point) => !changed.has(longStepOf(point)));
    return { ...live, day: lastOf([...before, ...points], DAY_MS) };
  },
};

function lastOf(points: Points, lengthMs: number): Points {
  const fromMs = (points.at(-1)?.atMs ?? 0) - lengthMs;
  return points.filter(({ atMs }) => atMs > fromMs);
}

function longStepOf({ atMs }: Points[number]): number {
  return Math.floor(atMs / LONG_STEP_MS);
}

/** Receives the events while the page is open. */
export function useLive(): Live {
  const [live, setLive] = useState(NOTHING);
  useEffect(() => {
    const source = new EventSource('api/live');
    let timer: ReturnType<typeof setTimeout>;
    let latestTickMs: number | undefined;
    const lost = () =>
      setLive((now) =>
        now.connection === 'live' ? { ...now, connection: 'lost', asOfMs: now.asOfMs ?? latestTickMs } : now,
      );
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(lost, LOST_AFTER_MS);
    };
    const listen = <E extends keyof LiveEvents>(event: E) =>
      source.addEventListener(event, ({ data }: MessageEvent<string>) => {
        const update = JSON.parse(data) as LiveEvents[E];
        if ('nowMs' in update) setServerTime(update.nowMs);
        expectMore();
        if (event === 'tick') latestTickMs = serverNow();
        setLive((now) => CHANGE[event](now, update));
        if (event === 'unavailable') setLive((now) => ({ ...now, asOfMs: latestTickMs }));
      });
    for (const event of Object.keys(CHANGE) as (keyof LiveEvents)[]) listen(event);
    source.addEventListener('error', lost);
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }, []);
  return live;
}
