/** The past of the decision log over all slices, newest first, with a bound on what is read. */
import type { LogEntry } from '../../model/decision-log.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { parseEntry } from './read-log.ts';

export interface PastQuery {
  /** Reading ends with this many selected entries. */
  count: number;
  /** Absent: all entries are selected. */
  selects?(entry: LogEntry): boolean;
  /** Entries written before or after are not read (epoch ms). */
  fromMs?: number;
  toMs?: number;
  /** Stream -> id of the newest entry that is read of it; absent: the newest there is. */
  ends?: ReadonlyMap<string, string>;
  /** Reading ends with this many entries, selected or not: a rare kind does not read the whole log. */
  maxRead: number;
}

export interface Past {
  /** All entries that were read, selected or not, because they explain each other; oldest first. */
  entries: LogEntry[];
  /** Entries that are not in the format this program writes. */
  unreadable: number;
  /** Older entries exist that were not read: those written before this time (epoch ms). */
  readFromMs?: number;
}

/** An entry is written at most this long after it happened. */
export const WRITTEN_WITHIN_MS = 60_000;

/** Entries of one slice in its first read; each later read of the slice takes twice as many, up to the largest. */
const FIRST_PAGE = 16;
const LARGEST_PAGE = 512;

/** An entry of a stream that is not parsed yet. */
interface Raw {
  ms: number;
  seq: number;
  fields: string[];
}

/** A slice's log, read backwards page by page. */
class Backwards {
  readonly #read: (end: string, count: number) => Promise<[id: string, fields: string[]][]>;
  #end: string;
  #page = FIRST_PAGE;
  #isAtStart = false;
  #entries: Raw[] = [];
  #at = 0;

  constructor(end: string, read: (end: string, count: number) => Promise<[string, string[]][]>) {
    this.#end = end;
    this.#read = read;
  }

  /** The newest entry that was not taken; undefined if there is none, or `fill` must be called first. */
  get next(): Raw | undefined {
    return this.#entries[this.#at];
  }

  get needsFill(): boolean {
    return this.next === undefined && !this.#isAtStart;
  }

  take(): void {
    this.#at++;
  }

  async fill(): Promise<void> {
    const page = await this.#read(this.#end, this.#page);
    this.#isAtStart = page.length < this.#page;
    this.#page = Math.min(LARGEST_PAGE, this.#page * 2);
    this.#entries = page.map(([id, fields]) => {
      const [ms = 0, seq = 0] = id.split('-').map(Number);
      return { ms, seq, fields };
    });
    this.#at = 0;
    const last = page.at(-1);
    if (last !== undefined) this.#end = `(${last[0]}`;
  }
}

/**
 * Reads the latest entries of all slices in the order in which they were written, until enough are selected. It ends with a whole
 * millisecond, so that the next page begins with the one before.
 */
export async function readPast(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  { count, selects = () => true, fromMs = 0, toMs, ends, maxRead }: PastQuery,
): Promise<Past> {
  const from = String(Math.max(0, fromMs));
  const logs = Array.from({ length: keys.slices }, (_, slice) => {
    const stream = keys.decisions(slice);
    return new Backwards(earlier(ends?.get(stream) ?? '+', toMs), (to, size) =>
      client.xrevrange(stream, to, from, 'COUNT', size),
    );
  });
  const entries: LogEntry[] = [];
  let [unreadable, read, selected, lastMs] = [0, 0, 0, Number.POSITIVE_INFINITY];
  for (;;) {
    await Promise.all(logs.filter((log) => log.needsFill).map((log) => log.fill()));
    const newest = newestOf(logs);
    if (newest?.next === undefined) return { entries: byTime(entries.reverse()), unreadable };
    const { ms, fields } = newest.next;
    if ((selected >= count || read >= maxRead) && ms < lastMs)
      return { entries: byTime(entries.reverse()), unreadable, readFromMs: Math.min(lastMs, ms + 1) };
    newest.take();
    [read, lastMs] = [read + 1, ms];
    const entry = parseEntry(fields);
    if (entry === undefined) unreadable++;
    else entries.push(entry);
    if (entry !== undefined && selects(entry)) selected++;
  }
}

/** The earlier of an id of a stream and a time. */
function earlier(id: string, toMs: number | undefined): string {
  return toMs === undefined || Number.parseInt(id, 10) <= toMs ? id : String(Math.max(0, toMs));
}

/** Slices write at the same time, so their entries are sorted once more by when they happened. */
export function byTime(entries: LogEntry[]): LogEntry[] {
  return entries.sort((a, b) => a.atMs - b.atMs);
}

function newestOf(logs: readonly Backwards[]): Backwards | undefined {
  let newest: Backwards | undefined;
  for (const log of logs) {
    const { next } = log;
    if (next === undefined) continue;
    const best = newest?.next;
    if (best === undefined || next.ms > best.ms || (next.ms === best.ms && next.seq > best.seq)) newest = log;
  }
  return newest;
}
