/** The decision log of the whole deployment, as it grows. */
import type { LogEntry } from '../../model/decision-log.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { parseEntry } from './read-log.ts';

/** Entries of one slice in one read; the next read continues from there. */
const PAGE_SIZE = 500;
/** Slices whose past is read at once: bounds the memory for a rare kind, for which whole logs are read. */
const SLICES_AT_ONCE = 16;
/** Before the first entry of any stream. */
const BEFORE_ALL = '0-0';

type Redis = Pick<RedisConnections, 'client' | 'keys' | 'isCluster'>;

/** Reads new entries of the logs of all slices: one command, in a cluster one for each slice. */
export class LogFollower {
  /** Entries that are not in the format this program writes. */
  unreadable = 0;
  /** Stream -> id of the entry read last. */
  readonly #last = new Map<string, string>();

  /**
   * Sets the position to the end of the logs.
   *
   * @param selects which entries are returned and counted; absent: all
   * @param sinceMs entries written before are not read (epoch ms)
   * @returns the latest `count` entries, oldest first
   */
  async begin(
    redis: Redis,
    count = 0,
    selects: (entry: LogEntry) => boolean = () => true,
    sinceMs = 0,
  ): Promise<LogEntry[]> {
    const { client, keys } = redis;
    const streams = Array.from({ length: keys.slices }, (_, slice) => keys.decisions(slice));
    const ends = await Promise.all(streams.map((stream) => client.xrevrange(stream, '+', '-', 'COUNT', 1)));
    streams.forEach((stream, at) => {
      this.#last.set(stream, ends[at]?.[0]?.[0] ?? BEFORE_ALL);
    });
    if (count === 0) return [];
    let found: LogEntry[] = [];
    for (let at = 0; at < streams.length; at += SLICES_AT_ONCE) {
      const some = streams.slice(at, at + SLICES_AT_ONCE);
      const past = await Promise.all(
        some.map((stream) => this.#past(redis, stream, count, selects, sinceMs)),
      );
      found = byTime([...found, ...past.flat()]).slice(-count);
    }
    return found;
  }

  /** The latest `count` selected entries of a slice up to its position, going back page by page. */
  async #past(
    { client }: Redis,
    stream: string,
    count: number,
    selects: (entry: LogEntry) => boolean,
    sinceMs: number,
  ): Promise<LogEntry[]> {
    const found: LogEntry[] = [];
    const size = Math.min(PAGE_SIZE, count);
    for (let end = this.#last.get(stream) ?? BEFORE_ALL; found.length < count; ) {
      const page = await client.xrevrange(stream, end, String(sinceMs), 'COUNT', size);
      found.push(...this.#entries(page.map(([, fields]) => fields)).filter(selects));
      const last = page.at(-1);
      if (last === undefined || page.length < size) break;
      end = `(${last[0]}`;
    }
    return found;
  }

  /**
   * Reads the entries since the last read, oldest first.
   *
   * @param redis may be another connection than the one before
   */
  async read(redis: Redis): Promise<LogEntry[]> {
    const streams = [...this.#last.keys()];
    const groups = redis.isCluster ? streams.map((stream) => [stream]) : [streams];
    const replies = await Promise.all(
      groups.map((group) => {
        const ids = group.map((stream) => this.#last.get(stream) ?? BEFORE_ALL);
        return redis.client.xread('COUNT', PAGE_SIZE, 'STREAMS', ...group, ...ids);
      }),
    );
    const fields: string[][] = [];
    for (const [stream, entries] of replies.flatMap((reply) => reply ?? [])) {
      for (const [id, entry] of entries) {
        this.#last.set(stream, id);
        fields.push(entry);
      }
    }
    return this.#entries(fields);
  }

  #entries(all: readonly string[][]): LogEntry[] {
    const entries = all.flatMap((fields) => parseEntry(fields) ?? []);
    this.unreadable += all.length - entries.length;
    return byTime(entries);
  }
}

function byTime(entries: LogEntry[]): LogEntry[] {
  return entries.sort((a, b) => a.atMs - b.atMs);
}
