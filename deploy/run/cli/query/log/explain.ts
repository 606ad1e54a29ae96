import { stripVTControlCharacters } from 'node:util';
import { type Fact, factsOf } from '../../../../../common/explain/facts.ts';
import { isSelected } from '../../../../../common/explain/log/filter.ts';
import { type DropletLog, readLog } from '../../../../../common/explain/log/read-log.ts';
import type { ObservedDroplet } from '../../../../../common/explain/observed-droplet.ts';
import { presentOf } from '../../../../../common/explain/present/present.ts';
import { shownStory } from '../../../../../common/explain/shown/shown-story.ts';
import { HOLD_TEXT, timesOf } from '../../../../../common/explain/wording.ts';
import { LOG_LENGTH } from '../../../../../common/model/decision-log.ts';
import type { HoldName } from '../../../../../common/model/reasons.ts';
import { readSurroundings } from '../../../../../common/views/droplet/surroundings.ts';
import { type RedisSession, withRedis } from '../../connection/with-redis.ts';
import { FailedError } from '../../errors.ts';
import type { ConfigOption } from '../../options.ts';
import { note, Output, painter } from '../../output/output.ts';
import { DRY_RUN, presentLines } from '../droplet-text.ts';
import { readDroplet } from '../read-droplet.ts';
import { type FilterOptions, filterOf, hasFilter } from './filter.ts';

export interface ExplainOptions extends ConfigOption, FilterOptions {
  json?: boolean;
  utc?: boolean;
  /** The maximum number of lines, the latest; absent: as many as the terminal has, or DEFAULT_LINES. */
  limit?: number;
}

/** Without a terminal. */
const DEFAULT_LINES = 200;
/** On a terminal of any height. */
const MIN_LINES = 10;

/** `hm explain <guid>`: the present state of a droplet, and its events and decisions, newest first, with times and reasons. */
export function explain(id: string, options: ExplainOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const [view, log] = await Promise.all([
      readDroplet(session, id),
      // What the filter leaves out still explains what it shows.
      readLog(session.redis, id, hasFilter(options) ? LOG_LENGTH : (options.limit ?? DEFAULT_LINES)),
    ]);
    if (view === undefined && log.entries.length === 0) throw new FailedError(`droplet ${id}: unknown`);
    const facts = factsOf(log.entries, view);
    const nowMs = view?.nowMs ?? (await session.now());
    const filter = filterOf(options, nowMs);
    const shows = (fact: Fact) => isSelected(fact, filter);
    const selected = facts.filter(shows);
    const { limit = DEFAULT_LINES } = options;
    const isCut = options.json
      ? await asJson(selected, limit)
      : await asText({ id, session, view, facts, shows, nowMs }, options);
    noteGaps(log, view, isCut, options, nowMs);
    return 0;
  });
}

/** @param facts oldest first. @returns the number of facts that were shown, if some were left out */
async function asJson(facts: readonly Fact[], limit: number): Promise<number | undefined> {
  const output = new Output();
  for (const fact of facts.slice(-limit).reverse()) if (!(await output.line(JSON.stringify(fact)))) break;
  return facts.length > limit ? limit : undefined;
}

interface Subject {
  id: string;
  session: RedisSession;
  view: ObservedDroplet | undefined;
  facts: readonly Fact[];
  shows: (fact: Fact) => boolean;
  nowMs: number;
}

/** @returns the number of lines of the story, if some were left out */
async function asText(
  { id, session, view, facts, shows, nowMs }: Subject,
  options: ExplainOptions,
): Promise<number | undefined> {
  const { policy, dryRun } = session.settings;
  const times = timesOf(nowMs, options.utc === true);
  const paint = painter();
  const output = new Output();
  const head = [paint('bold', `now (${times.at(nowMs)})`)];
  const explained: HoldName[] = [];
  if (view === undefined) head[0] = `now: the health manager has no record of ${id} any more`;
  else {
    const { holds, workers, unknown } = await readSurroundings(session.redis, nowMs, policy);
    const present = presentOf(view, holds, times, workers);
    explained.push(...present.holds.map(({ name }) => name));
    if (dryRun) head.push(DRY_RUN);
    head.push(
      ...presentLines(view, present, times, { onlyTrouble: true, unknown: unknown(present.running) }),
    );
  }
  const liveVersion = view?.droplet.desired?.version;
  const { flappingTimeoutMs } = policy;
  const isWhole = options.kind === undefined && options.reason === undefined;
  const story = shownStory(facts, liveVersion, { times, flappingTimeoutMs, shows }, isWhole);
  const width = Math.max(...story.map(({ atMs }) => times.at(atMs).length));
  const lines = story.map(({ atMs, tone, text, hold }) => {
    const time = times.at(atMs).padStart(width);
    const explanation = holdExplanation(hold, explained);
    return {
      plain: `${time}  ${text}${explanation}`,
      shown: `${paint('dim', time)}  ${paint(tone, text)}${explanation}`,
    };
  });
  const count =
    options.limit ??
    linesOnTerminal(
      head,
      lines.map(({ plain }) => plain),
    );
  await output.write(
    `${[...head, ...(lines.length === 0 ? [] : ['']), ...lines.slice(0, count).map(({ shown }) => shown)].join('\n')}\n`,
  );
  return lines.length > count ? count : undefined;
}

/** Of the first line that names a hold: ` (too many DEAs went silent at once; ...)`. @param explained holds that were; added to */
function holdExplanation(hold: HoldName | undefined, explained: HoldName[]): string {
  if (hold === undefined || hold === 'operator' || explained.includes(hold)) return '';
  explained.push(hold);
  return ` (${HOLD_TEXT[hold]})`;
}

/** So that the present state, which is above the story, stays on the screen. */
function linesOnTerminal(head: readonly string[], lines: readonly string[]): number {
  const { isTTY, rows = 24, columns = 80 } = process.stdout;
  if (!isTTY) return DEFAULT_LINES;
  const height = (line: string) => Math.max(1, Math.ceil(stripVTControlCharacters(line).length / columns));
  // An empty line, a note and the next prompt.
  let room = rows - 3 - head.reduce((sum, line) => sum + height(line), 0);
  let count = 0;
  while (count < lines.length && (count < MIN_LINES || room >= height(lines[count] as string))) {
    room -= height(lines[count] as string);
    count++;
  }
  return count;
}

/** Notes entries that are unreadable, left out by the limit, or no longer in the log. */
function noteGaps(
  log: DropletLog,
  view: ObservedDroplet | undefined,
  shown: number | undefined,
  { limit, utc, json }: ExplainOptions,
  nowMs: number,
): void {
  if (log.unreadable > 0) note(`${log.unreadable} entries of the decision log cannot be read`);
  if (log.more || shown !== undefined)
    note(`older entries are left out; --limit N shows more than ${shown ?? limit ?? DEFAULT_LINES}`);
  const fromMs = log.reachesBackToMs;
  const isCut = log.full && fromMs !== undefined && fromMs > (view?.droplet.firstSeenMs ?? 0);
  if (!isCut || log.more || json) return;
  const from = timesOf(nowMs, utc === true).at(fromMs);
  note(
    `the decision log holds about ${LOG_LENGTH} entries and reaches back to ${from}: earlier entries have been removed`,
  );
}
