/**
 * What `/api/live` tells, as one state that the page shows.
 *
 *     connecting --(first tick)--> live --(no tick for a while, or the connection breaks)--> lost --(tick)--> live
 */
import { useEffect, useState } from 'preact/hooks';
import type {
  DeaCell,
  FleetUpdate,
  LiveEvents,
  SilentUpdate,
  StoryUpdate,
  TroubledUpdate,
} from '../api/types.ts';
import { setServerTime } from './elements/clock.ts';

type Points = LiveEvents['timeline']['points'];

export interface Live {
  connection: 'connecting' | 'live' | 'lost';
  /** Why the reporter cannot tell anything, while it cannot. */
  unavailable?: string;
  hello?: LiveEvents['hello'];
  fleet?: FleetUpdate;
  silent?: SilentUpdate;
  troubled?: TroubledUpdate;
  deas: ReadonlyMap<string, DeaCell>;
  /** Oldest first. */
  lines: readonly StoryUpdate[];
  points: Points;
}

const LINES = 60;
const HOUR_MS = 3_600_000;
/** Ticks come once a second. */
const LOST_AFTER_MS = 6_000;

const NOTHING: Live = { connection: 'connecting', deas: new Map(), lines: [], points: [] };

type Change = { [E in keyof LiveEvents]: (live: Live, data: LiveEvents[E]) => Live };

/** What each event changes. Pure. */
const CHANGE: Change = {
  hello: (live, hello) => ({ ...live, hello }),
  tick: (live) => {
    if (live.connection === 'live' && live.unavailable === undefined) return live;
    const { unavailable: _, ...rest } = live;
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
    lines: (all ? lines : [...live.lines, ...lines]).slice(-LINES),
  }),
  timeline: (live, { all, points }) => {
    const now = all ? points : [...live.points, ...points];
    const fromMs = (now.at(-1)?.atMs ?? 0) - HOUR_MS;
    return { ...live, points: now.filter(({ atMs }) => atMs > fromMs) };
  },
};

/** Watches for as long as the page is there. */
export function useLive(): Live {
  const [live, setLive] = useState(NOTHING);
  useEffect(() => {
    const source = new EventSource('api/live');
    let timer: ReturnType<typeof setTimeout>;
    const lost = () => setLive((now) => (now.connection === 'live' ? { ...now, connection: 'lost' } : now));
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(lost, LOST_AFTER_MS);
    };
    const listen = <E extends keyof LiveEvents>(event: E) =>
      source.addEventListener(event, ({ data }: MessageEvent<string>) => {
        const told = JSON.parse(data) as LiveEvents[E];
        if ('nowMs' in told) setServerTime(told.nowMs);
        expectMore();
        setLive((now) => CHANGE[event](now, told));
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
