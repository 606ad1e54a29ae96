import type { Fact } from '../../../../../common/explain/facts.ts';
import { type FactFilter, isSelected } from '../../../../../common/explain/log/filter.ts';
import { LogFollower } from '../../../../../common/explain/log/follow-log.ts';
import { WRITTEN_WITHIN_MS } from '../../../../../common/explain/log/read-past.ts';
import { Stories } from '../../../../../common/explain/shown/stories.ts';
import { HOLD_TEXT, timesOf } from '../../../../../common/explain/wording.ts';
import type { LogEntry } from '../../../../../common/model/decision-log.ts';
import type { HoldName } from '../../../../../common/model/reasons.ts';
import { abortOnSignals, pause, runRefreshLoop } from '../../connection/refresh-loop.ts';
import type { RedisSession } from '../../connection/with-redis.ts';
import type { ConfigOption } from '../../options.ts';
import { note, Output, painter } from '../../output/output.ts';
import { type FilterOptions, filterOf, MAX_SINCE } from './filter.ts';
import { namedText } from './named-text.ts';

export interface WatchOptions extends ConfigOption, FilterOptions {
  json?: boolean;
  utc?: boolean;
  /** The number of past entries to begin with; absent: none, or with `since` as many as there are. */
  last?: number;
}

const POLL_MS = 500;
/** A hold that no line has named for this long is explained again. */
const EXPLAINED_MS = 600_000;
/** Past entries that are read: a rare kind is not searched in the whole log, which has a million. */
const MAX_READ = 100_000;

/**
 * `hm watch`: decisions of the whole deployment as they are made, until Ctrl-C or the reader of the output is gone. It goes on at
 * its end, so it is the one list with the newest line last.
 */
export async function watch(options: WatchOptions): Promise<number> {
  const { end, release } = abortOnSignals();
  const follower = new LogFollower();
  const output = new Output();
  let filter: FactFilter | undefined;
  const shows = (entry: Fact) => isSelected(entry, filter ?? {});
  const format = options.json ? asJson(shows) : asText(options.utc === true, shows);
  let unreadable = 0;
  try {
    return await runRefreshLoop({
      options,
      signal: end.signal,
      onOutage: (problem) => note(`${problem}; retried every second`),
      work: async (session) => {
        const show = async (entries: readonly LogEntry[]) => {
          const text = entries.length === 0 ? '' : await format(entries, session);
          if (text !== '' && !(await output.write(text))) end.abort();
          const added = follower.unreadable - unreadable;
          if (added > 0) note(`${added} entries of the decision log cannot be read`);
          unreadable = follower.unreadable;
        };
        if (filter === undefined) {
          const from = filterOf(options, await session.now());
          const last = options.last ?? (options.since === undefined ? 0 : MAX_SINCE);
          filter = from;
          await show(await readLatest(session, follower, last, from));
        }
        while (!end.signal.aborted) {
          const nowMs = filter.untilMs === undefined ? 0 : await session.now();
          await show(await follower.read(session.redis));
          if (filter.untilMs !== undefined && nowMs > filter.untilMs) end.abort();
          await pause(POLL_MS, end.signal);
        }
      },
    });
  } finally {
    release();
  }
}

/** The latest `count` selected entries, as far back as the bound allows. */
async function readLatest(
  { redis, now }: RedisSession,
  follower: LogFollower,
  count: number,
  filter: FactFilter,
): Promise<LogEntry[]> {
  const { sinceMs, untilMs } = filter;
  const selects = (entry: LogEntry) => isSelected(entry, filter);
  if (count === 0) return (await follower.begin(redis)).entries;
  const past = await follower.begin(redis, {
    ...{ count, selects, maxRead: MAX_READ },
    ...(sinceMs !== undefined && { fromMs: sinceMs }),
    ...(untilMs !== undefined && { toMs: untilMs + WRITTEN_WITHIN_MS }),
  });
  const found = past.entries.filter(selects);
  if (count > found.length && past.readFromMs !== undefined) {
    const from = timesOf(await now(), true).at(past.readFromMs);
    note(
      `read ${past.entries.length} entries of the decision log, back to ${from} UTC; --until ${new Date(past.readFromMs).toISOString()} reads the ones before`,
    );
  }
  return found.slice(Math.max(0, found.length - count));
}

type Format = (entries: readonly LogEntry[], session: RedisSession) => Promise<string>;

type Shows = (fact: Fact) => boolean;

function asJson(shows: Shows): Format {
  return async (entries) =>
    entries
      .filter(shows)
      .map((entry) => `${JSON.stringify(entry)}\n`)
      .join('');
}

function asText(utc: boolean, shows: Shows): Format {
  const stories = new Stories();
  const paint = painter();
  const namedMs = new Map<HoldName, number>();
  /** Of a hold that was not named lately. */
  const explanation = (hold: HoldName | undefined, atMs: number) => {
    if (hold === undefined || hold === 'operator') return '';
    const isKnown = atMs - (namedMs.get(hold) ?? Number.NEGATIVE_INFINITY) < EXPLAINED_MS;
    namedMs.set(hold, atMs);
    return isKnown ? '' : ` (${HOLD_TEXT[hold]})`;
  };
  // Ids and reasons come from outside: their control characters must not reach the terminal.
  const clean = (text: string) => text.replace(/\p{Cc}/gu, ' ');
  return async (entries, { now, settings }) => {
    const times = timesOf(await now(), utc);
    const { flappingTimeoutMs } = settings.policy;
    return stories
      .append(entries, { times, flappingTimeoutMs, shows })
      .map(
        ({ atMs, droplet, tone, text, droplets, hold }) =>
          `${paint('dim', times.at(atMs))}  ${droplet && `${paint('bold', clean(droplet))}  `}${paint(tone, clean(text + namedText(droplets)))}${explanation(hold, atMs)}\n`,
      )
      .join('');
  };
}
