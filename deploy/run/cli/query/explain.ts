import { storyOf } from '../../../../common/explain/explain.ts';
import { type Fact, factsOf } from '../../../../common/explain/facts.ts';
import { type DropletLog, readLog } from '../../../../common/explain/log.ts';
import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import { LOG_LENGTH } from '../../../../common/model/decision-log.ts';
import { readHolds } from '../../../../common/redis/holds.ts';
import { type Query, withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';
import { DRY_RUN, presentLines } from './droplet-text.ts';
import { viewOf } from './read-droplet.ts';

export interface ExplainOptions extends ConfigOption {
  json?: boolean;
  utc?: boolean;
  /** The latest so many lines. */
  limit: number;
}

/** `hm explain <guid>`: what happened to a droplet, what was decided about it, when and why. */
export function explain(id: string, options: ExplainOptions): Promise<number> {
  return withRedis(options, async (query) => {
    const [view, log] = await Promise.all([viewOf(query, id), readLog(query.redis, id, options.limit)]);
    if (view === undefined && log.entries.length === 0) throw new FailedError(`droplet ${id}: not known`);
    const facts = factsOf(log.entries, view);
    const nowMs = view?.nowMs ?? (await query.now());
    if (options.json) await asJson(facts.slice(-options.limit));
    else await asText({ id, query, view, facts, nowMs }, options);
    sayWhatIsMissing(log, view, facts.length, options, nowMs);
    return 0;
  });
}

async function asJson(facts: readonly Fact[]): Promise<void> {
  const output = new Output();
  for (const fact of facts) if (!(await output.line(JSON.stringify(fact)))) return;
}

interface Subject {
  id: string;
  query: Query;
  view: ObservedDroplet | undefined;
  facts: readonly Fact[];
  nowMs: number;
}

async function asText({ id, query, view, facts, nowMs }: Subject, options: ExplainOptions): Promise<void> {
  const { policy } = query.settings;
  const times = timesOf(nowMs, options.utc === true);
  const liveVersion = view?.droplet.desired?.version;
  const lines = storyOf(facts, liveVersion, { times, flappingTimeoutMs: policy.flappingTimeoutMs });
  const shown = lines.slice(-options.limit);
  const width = Math.max(...shown.map(({ atMs }) => times.at(atMs).length));
  const output = new Output();
  const paint = painter();
  for (const { atMs, tone, text } of shown) {
    const time = times.at(atMs).padStart(width);
    if (!(await output.line(`${paint('dim', time)}  ${paint(tone, text)}`))) return;
  }
  if (view === undefined) {
    await output.line(`\nnow: ${id} is not in the health manager's memory any more`);
    return;
  }
  const holds = await readHolds(query.redis, { nowMs: () => nowMs }, policy);
  const dryRun = query.settings.dryRun ? [DRY_RUN] : [];
  const present = presentLines(view, holds, times, { onlyTrouble: true });
  await output.write(
    `\n${paint('bold', `now (${times.at(nowMs)})`)}\n${[...dryRun, ...present].join('\n')}\n`,
  );
}

/** A story that lacks its beginning says so. */
function sayWhatIsMissing(
  log: DropletLog,
  view: ObservedDroplet | undefined,
  facts: number,
  { limit, utc, json }: ExplainOptions,
  nowMs: number,
): void {
  if (log.unreadable > 0) note(`${log.unreadable} entries of the decision log cannot be read`);
  if (log.more || facts > limit) note(`older entries are left out: --limit ${limit}`);
  const fromMs = log.reachesBackToMs;
  const isCut = log.full && fromMs !== undefined && fromMs > (view?.droplet.firstSeenMs ?? 0);
  if (!isCut || log.more || json) return;
  const from = timesOf(nowMs, utc === true).at(fromMs);
  note(
    `the decision log holds about ${LOG_LENGTH} entries and reaches back to ${from}: what was before is forgotten`,
  );
}
