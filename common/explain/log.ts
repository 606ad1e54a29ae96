import { LOG_LENGTH, type LogEntry } from '../model/decision-log.ts';
import type { RedisConnections } from '../redis/connections.ts';

/** What the decision log has of one droplet. */
export interface LogOfDroplet {
  /** Oldest first. */
  entries: LogEntry[];
  /** There are older ones, left out because of the limit. */
  more: boolean;
  /** When the oldest entry that the slice's log still has was written (ms); absent: the log is empty. */
  reachesBackToMs?: number;
  /** It is as long as it gets: what was before is forgotten. */
  full: boolean;
  /** Entries that nobody of ours has written so. */
  unreadable: number;
}

/** Read at once: a slice's log of some thousand entries is ten round trips, and none of them keeps Redis long. */
const PAGE = 500;

/** The latest `limit` entries about a droplet. Reads back through the slice's log, a page at a time. */
export async function readLog(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  droplet: string,
  limit: number,
): Promise<LogOfDroplet> {
  const stream = keys.decisions(keys.sliceOf(droplet));
  const found: LogEntry[] = [];
  let unreadable = 0;
  const [[first], length] = await Promise.all([
    client.xrange(stream, '-', '+', 'COUNT', 1),
    client.xlen(stream),
  ]);
  const reaches = first === undefined ? {} : { reachesBackToMs: Number.parseInt(first[0], 10) };
  for (let end = '+'; found.length <= limit; ) {
    const page = await client.xrevrange(stream, end, '-', 'COUNT', PAGE);
    for (const [, fields] of page) {
      const entry = parseEntry(fields);
      if (entry === undefined) unreadable++;
      else if (entry.droplet === droplet) found.push(entry);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    end = `(${last[0]}`;
  }
  const more = found.length > limit;
  return {
    entries: found.slice(0, limit).reverse(),
    more,
    full: length >= LOG_LENGTH,
    unreadable,
    ...reaches,
  };
}

/** An entry of a slice's stream; undefined where nobody of ours has written it so. */
export function parseEntry(fields: readonly string[]): LogEntry | undefined {
  const text = fields[fields.indexOf('entry') + 1];
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    return undefined; // counted as unreadable
  }
  return isEntry(value) ? value : undefined;
}

/** A newer release may write kinds that this one does not know; each has at least these. */
function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { atMs, droplet, kind } = value as Record<string, unknown>;
  return typeof atMs === 'number' && typeof droplet === 'string' && typeof kind === 'string';
}
