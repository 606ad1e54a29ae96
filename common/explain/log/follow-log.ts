/** The decision log of the whole deployment, as it grows. */
import type { LogEntry } from '../../model/decision-log.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { parseEntry } from './read-log.ts';
import { byTime, type Past, type PastQuery, readPast } from './read-past.ts';

/** Entries of one slice in one read; the next read continues from there. */
const PAGE_SIZE = 500;
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
   * @param past what is read of the past; absent: nothing
   */
  async begin(redis: Redis, past?: Omit<PastQuery, 'ends'>): Promise<Past> {
    const { client, keys } = redis;
    const streams = Array.from({ length: keys.slices }, (_, slice) => keys.decisions(slice));
    const ends = await Promise.all(streams.map((stream) => client.xrevrange(stream, '+', '-', 'COUNT', 1)));
    streams.forEach((stream, at) => {
      this.#last.set(stream, ends[at]?.[0]?.[0] ?? BEFORE_ALL);
    });
    if (past === undefined) return { entries: [], unreadable: 0 };
    const found = await readPast(redis, { ...past, ends: this.#last });
    this.unreadable += found.unreadable;
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
