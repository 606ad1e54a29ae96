/** The decision log of the whole deployment, as it grows. */
import type { LogEntry } from '../model/decision-log.ts';
import type { RedisConnections } from '../redis/connections.ts';
import { parseEntry } from './log.ts';

/** Entries of a slice read at once; what is left comes with the next read. */
const AT_ONCE = 500;
const BEFORE_ALL = '0-0';

type Redis = Pick<RedisConnections, 'client' | 'keys' | 'isCluster'>;

/** Follows the logs of all slices by reading on from where it last was: one command, in a cluster one a slice. */
export class LogFollower {
  /** Entries that nobody of ours has written so. */
  unreadable = 0;
  /** Stream -> id of the entry read last. */
  readonly #last = new Map<string, string>();

  /**
   * Begins at the end of the log.
   *
   * @param count the latest so many entries, returned oldest first
   */
  async begin({ client, keys }: Redis, count = 0): Promise<LogEntry[]> {
    const streams = Array.from({ length: keys.slices }, (_, slice) => keys.decisions(slice));
    const pages = await Promise.all(
      streams.map((stream) => client.xrevrange(stream, '+', '-', 'COUNT', Math.max(1, count))),
    );
    streams.forEach((stream, at) => {
      this.#last.set(stream, pages[at]?.[0]?.[0] ?? BEFORE_ALL);
    });
    return count === 0 ? [] : this.#entries(pages.flat().map(([, fields]) => fields)).slice(-count);
  }

  /** What has been written since, by time. Redis may have changed hands meanwhile. */
  async read(redis: Redis): Promise<LogEntry[]> {
    const streams = [...this.#last.keys()];
    const groups = redis.isCluster ? streams.map((stream) => [stream]) : [streams];
    const replies = await Promise.all(
      groups.map((group) => {
        const ids = group.map((stream) => this.#last.get(stream) ?? BEFORE_ALL);
        return redis.client.xread('COUNT', AT_ONCE, 'STREAMS', ...group, ...ids);
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
    return entries.sort((a, b) => a.atMs - b.atMs);
  }
}
