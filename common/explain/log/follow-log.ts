/** The decision log of the whole deployment, as it grows. */
import type { LogEntry } from '../../model/decision-log.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { parseEntry } from './read-log.ts';

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
   * @returns the latest `count` entries, oldest first
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
    return entries.sort((a, b) => a.atMs - b.atMs);
  }
}
