import { LOG_LENGTH, type LogEntry } from '../../model/decision-log.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';

/** The decision log of one droplet. */
export interface DropletLog {
  /** Oldest first. */
  entries: LogEntry[];
  /** Older entries exist, but the limit left them out. */
  more: boolean;
  /** When the oldest entry of the slice's log was written (epoch ms); absent: the log is empty. */
  reachesBackToMs?: number;
  /** The slice's log has its maximum length, so older entries have been trimmed. */
  full: boolean;
  /** Entries that are not in the format this program writes. */
  unreadable: number;
}

/** A slice's log of some thousand entries takes ten round trips, and none of them blocks Redis for long. */
const PAGE_SIZE = 500;

/** Reads the latest `limit` entries about a droplet, going back through the slice's log page by page. */
export async function readLog(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  droplet: string,
  limit: number,
): Promise<DropletLog> {
  const stream = keys.decisions(keys.sliceOf(droplet));
  const found: LogEntry[] = [];
  let unreadable = 0;
  const [[first], length] = await Promise.all([
    client.xrange(stream, '-', '+', 'COUNT', 1),
    client.xlen(stream),
  ]);
  const reachesBack = first === undefined ? {} : { reachesBackToMs: Number.parseInt(first[0], 10) };
  for (let end = '+'; found.length <= limit; ) {
    const page = await client.xrevrange(stream, end, '-', 'COUNT', PAGE_SIZE);
    for (const [, fields] of page) {
      const entry = parseEntry(fields);
      if (entry === undefined) unreadable++;
      else if (entry.droplet === droplet) found.push(entry);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_SIZE) break;
    end = `(${last[0]}`;
  }
  const more = found.length > limit;
  return {
    entries: found.slice(0, limit).reverse(),
    more,
    full: length >= LOG_LENGTH,
    unreadable,
    ...reachesBack,
  };
}

/** Decodes an entry of a slice's stream; undefined if it is not in the format this program writes. */
export function parseEntry(fields: readonly string[]): LogEntry | undefined {
  const text = fields[fields.indexOf('entry') + 1];
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    return undefined; // the caller counts it as unreadable
  }
  return isEntry(value) ? value : undefined;
}

/** A newer release may write unknown kinds; they have at least these fields. */
function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { atMs, droplet, kind } = value as Record<string, unknown>;
  return typeof atMs === 'number' && typeof droplet === 'string' && typeof kind === 'string';
}
