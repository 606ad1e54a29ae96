import { storyOf } from '../../../../common/explain/explain.ts';
import { type Fact, factsOf } from '../../../../common/explain/facts.ts';
import { isSelected } from '../../../../common/explain/log/filter.ts';
import { type DropletLog, readLog } from '../../../../common/explain/log/read-log.ts';
import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import { LOG_LENGTH } from '../../../../common/model/decision-log.ts';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { readProcessesView, waitForNudger } from '../../../../common/views/read-processes.ts';
import { type RedisSession, withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';
import { DRY_RUN, presentLines } from './droplet-text.ts';
import { type FilterOptions, filterOf, hasFilter } from './filter.ts';
import { readDroplet } from './read-droplet.ts';

export interface ExplainOptions extends ConfigOption, FilterOptions {
  json?: boolean;
  utc?: boolean;
  /** The maximum number of lines; the latest are shown. */
  limit: number;
}

/** `hm explain <guid>`: the events and decisions of a droplet, with times and reasons. */
export function explain(id: string, options: ExplainOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const [view, log] = await Promise.all([
      readDroplet(session, id),
      // What the filter leaves out still explains what it shows.
      readLog(session.redis, id, hasFilter(options) ? LOG_LENGTH : options.limit),
    ]);
    if (view === undefined && log.entries.length === 0) throw new FailedError(`droplet ${id}: unknown`);
    const facts = factsOf(log.entries, view);
    const nowMs = view?.nowMs ?? (await session.now());
    const filter = filterOf(options, nowMs);
    const shows = (fact: Fact) => isSelected(fact, filter);
    const selected = facts.filter(shows);
    if (options.json) await asJson(selected.slice(-options.limit));
    else await asText({ id, session, view, facts, shows, nowMs }, options);
    noteGaps(log, view, selected.length, options, nowMs);
    return 0;
  });
}

async function asJson(facts: readonly Fact[]): Promise<void> {
  const output = new Output();
  for (const fact of facts) if (!(await output.line(JSON.stringify(fact)))) return;
}

interface Subject {
  id: string;
  session: RedisSession;
  view: ObservedDroplet | undefined;
  facts: readonly Fact[];
  shows: (fact: Fact) => boolean;
  nowMs: number;
}

async function asText(
  { id, session, view, facts, shows, nowMs }: Subject,
  options: ExplainOptions,
): Promise<void> {
  const { policy } = session.settings;
  const times = timesOf(nowMs, options.utc === true);
  const liveVersion = view?.droplet.desired?.version;
  const lines = storyOf(facts, liveVersion, { times, flappingTimeoutMs: policy.flappingTimeoutMs, shows });
  const shown = lines.slice(-options.limit);
  const width = Math.max(...shown.map(({ atMs }) => times.at(atMs).length));
  const output = new Output();
  const paint = painter();
  for (const { atMs, tone, text } of shown) {
    const time = times.at(atMs).padStart(width);
    if (!(await output.line(`${paint('dim', time)}  ${paint(tone, text)}`))) return;
  }
  if (view === undefined) {
    await output.line(`\nnow: the health manager has no record of ${id} any more`);
    return;
  }
  const holds = await readHolds(session.redis, { nowMs: () => nowMs }, policy);
  const dryRun = session.settings.dryRun ? [DRY_RUN] : [];
  const workers = waitForNudger(await readProcessesView(session.redis, nowMs));
  const present = presentLines(view, holds, times, { onlyTrouble: true, workers });
  await output.write(
    `\n${paint('bold', `now (${times.at(nowMs)})`)}\n${[...dryRun, ...present].join('\n')}\n`,
  );
}

/** Notes entries that are unreadable, left out by the limit, or no longer in the log. */
function noteGaps(
  log: DropletLog,
  view: ObservedDroplet | undefined,
  facts: number,
  { limit, utc, json }: ExplainOptions,
  nowMs: number,
): void {
  if (log.unreadable > 0) note(`${log.unreadable} entries of the decision log cannot be read`);
  if (log.more || facts > limit) note(`older entries are left out (--limit ${limit})`);
  const fromMs = log.reachesBackToMs;
  const isCut = log.full && fromMs !== undefined && fromMs > (view?.droplet.firstSeenMs ?? 0);
  if (!isCut || log.more || json) return;
  const from = timesOf(nowMs, utc === true).at(fromMs);
  note(
    `the decision log holds about ${LOG_LENGTH} entries and reaches back to ${from}: earlier entries have been removed`,
  );
}
