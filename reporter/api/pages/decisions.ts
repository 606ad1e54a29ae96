/** `GET /api/decisions`: the decision log of the whole deployment, filtered, newest first; as lines of text, JSON or CSV. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Fact } from '../../../common/explain/facts.ts';
import { type FactFilter, isSelected } from '../../../common/explain/log/filter.ts';
import { parseMoment } from '../../../common/explain/log/moment.ts';
import { type Past, readPast, WRITTEN_WITHIN_MS } from '../../../common/explain/log/read-past.ts';
import { Stories } from '../../../common/explain/shown/stories.ts';
import { LOG_KINDS, type LogEntry, type LogKind } from '../../../common/model/decision-log.ts';
import { REASONS } from '../../../common/model/reasons.ts';
import type { Health } from '../../../common/runtime/health.ts';
import { sendAnswer, sendRead } from '../../http/send-read.ts';
import type { LiveSources } from '../live/live-feed.ts';
import { placeholderOptions } from '../time-placeholders.ts';
import type { DecisionPage } from '../types.ts';
import { csvOf } from './decisions-csv.ts';

const MAX_LIMIT = 10_000;
const DEFAULT_LIMIT = 100;
/** Entries that one page reads, about 150 ms of CPU: of a rare kind the page may be short, and its cursor goes on. */
const MAX_READ = 8_000;
/** The same for a file, which is not read again every few seconds. */
const MAX_READ_FILE = 50_000;
const Text = Type.String({ maxLength: 512 });

/** The parameters of the query. */
export const DECISIONS_QUERY = Type.Object({
  /** A part of a guid. */
  app: Type.Optional(Text),
  dea: Type.Optional(Text),
  /** Some of the kinds or reasons, separated by commas. */
  kind: Type.Optional(Text),
  reason: Type.Optional(Text),
  /** How long ago (`30m`), or a time in ISO 8601. */
  since: Type.Optional(Text),
  until: Type.Optional(Text),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,4}$' })),
  cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
  format: Type.Optional(Type.Enum(['lines', 'json', 'csv'])),
});
const Query = Compile(DECISIONS_QUERY);

interface RawQuery {
  app?: string;
  dea?: string;
  kind?: string;
  reason?: string;
  since?: string;
  until?: string;
  limit?: string;
  cursor?: string;
  format?: 'lines' | 'json' | 'csv';
}

interface DecisionQuery {
  filter: FactFilter;
  limit: number;
  /** Epoch ms: of the page before everything written since is known. */
  cursor?: number;
}

type Sources = Pick<LiveSources, 'redis' | 'clock' | 'policy'>;

/** Replies 400 to a query that is not valid, 503 while Redis does not answer. */
export function addDecisions(options: Sources & { app: FastifyInstance; health: Health }): void {
  const { app, health, clock } = options;
  app.get('/api/decisions', async ({ query }, reply) => {
    const raw: RawQuery | undefined = Query.Check(query) ? query : undefined;
    const asked = raw && decisionQuery(raw, clock.nowMs());
    if (asked === undefined) {
      const error = `query: expected app, dea (parts of guids), kind (some of ${LOG_KINDS.join(', ')}), reason (some of ${REASONS.join(', ')}), since, until (30m, or a time in ISO 8601), limit (1 to ${MAX_LIMIT}), cursor and format (lines, json or csv)`;
      return reply.code(400).send({ error });
    }
    const format = raw?.format ?? 'lines';
    if (format === 'lines') return sendRead(health, reply, () => readDecisionPage(options, asked));
    const name = `decisions-${new Date(clock.nowMs()).toISOString().slice(0, 19).replaceAll(':', '')}`;
    reply.header('content-disposition', `attachment; filename="${name}.${format}"`);
    if (format === 'json') return sendRead(health, reply, () => exported(options, asked));
    return sendAnswer(health, reply, async () => {
      const { entries } = await exported(options, asked);
      reply.type('text/csv; charset=utf-8');
      return [200, csvOf(entries)];
    });
  });
}

export async function readDecisionPage(sources: Sources, query: DecisionQuery): Promise<DecisionPage> {
  const past = await read(sources, query, MAX_READ);
  const shows = (entry: LogEntry) => isSelected(entry, query.filter);
  // What is not selected still explains what is.
  const options = {
    ...placeholderOptions(sources.policy),
    shows: (fact: Fact) => shows(fact as LogEntry),
  };
  const { kinds, reasons } = query.filter;
  // What was selected by its kind is shown line by line.
  const foldsLoops = kinds === undefined && reasons === undefined;
  const lines = new Stories().append(past.entries, options, foldsLoops);
  return {
    nowMs: sources.clock.nowMs(),
    lines: lines.reverse(),
    read: past.entries.length,
    ...(past.readFromMs !== undefined && { cursor: past.readFromMs - 1, readFromMs: past.readFromMs }),
  };
}

/** The entries themselves, newest first. */
async function exported(sources: Sources, query: DecisionQuery) {
  const { entries, readFromMs } = await read(sources, query, MAX_READ_FILE);
  const selected = entries.filter((entry) => isSelected(entry, query.filter)).reverse();
  return {
    nowMs: sources.clock.nowMs(),
    entries: selected,
    ...(readFromMs !== undefined && { readFromMs, cursor: readFromMs - 1 }),
  };
}

function read({ redis }: Sources, { filter, limit, cursor }: DecisionQuery, maxRead: number): Promise<Past> {
  const { sinceMs, untilMs } = filter;
  const ends = [
    ...(cursor === undefined ? [] : [cursor]),
    ...(untilMs === undefined ? [] : [untilMs + WRITTEN_WITHIN_MS]),
  ];
  return readPast(redis, {
    ...{ count: limit, maxRead, selects: (entry) => isSelected(entry, filter) },
    ...(sinceMs !== undefined && { fromMs: sinceMs }),
    ...(ends.length > 0 && { toMs: Math.min(...ends) }),
  });
}

/** @returns undefined if a kind, a reason or a time is not known, or the limit is too large */
function decisionQuery(raw: RawQuery, nowMs: number): DecisionQuery | undefined {
  const { app, dea, kind, reason, since, until, limit, cursor } = raw;
  const kinds = someOf<LogKind>(kind, LOG_KINDS);
  const reasons = someOf<string>(reason, REASONS);
  const sinceMs = since ? parseMoment(since)?.(nowMs) : 0;
  const untilMs = until ? parseMoment(until)?.(nowMs) : Number.POSITIVE_INFINITY;
  const rows = Number(limit ?? DEFAULT_LIMIT);
  if (kinds === undefined || reasons === undefined || sinceMs === undefined || untilMs === undefined)
    return undefined;
  if (rows > MAX_LIMIT) return undefined;
  return {
    filter: {
      ...(app?.trim() && { droplet: app.trim() }),
      ...(dea?.trim() && { dea: dea.trim() }),
      ...(kinds.length > 0 && { kinds }),
      ...(reasons.length > 0 && { reasons }),
      ...(since && { sinceMs }),
      ...(until && { untilMs }),
    },
    limit: rows,
    ...(cursor !== undefined && { cursor: Number(cursor) }),
  };
}

/** @returns empty: all; undefined: one of them is not known */
function someOf<T extends string>(text: string | undefined, known: readonly T[]): T[] | undefined {
  if (text === undefined || text === '') return [];
  const found = text.split(',').map((name) => known.find((one) => one === name.trim()));
  return found.every((one) => one !== undefined) ? found : undefined;
}
