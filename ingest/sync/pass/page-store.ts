import { hash } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { RedisConnections } from '../../../common/redis/connections.ts';

/** What is remembered of a bulk page besides its entries. */
export interface PageHead {
  /** Of the body as it came. */
  sha1: string;
  /** For the next page, as JSON. */
  token: string;
  /** Droplets listed, unreadable ones included. */
  count: number;
  /** Entries that could not be read. */
  rejected: number;
}

/** Droplet id -> digest of what the page says of it. */
export type PageEntries = Map<string, string>;

/** The digest of an entry that could not be read: it is looked at again whenever the page changes. */
export const UNREADABLE = '-';

/**
 * 32 bits: a change is overlooked once in four billion changes, and seen at the next one. (A longer digest costs
 * a tenth of a first sync.)
 */
export function entryDigest(words: string): string {
  return crc32(words).toString(36);
}

export function pageDigest(body: Buffer): string {
  return hash('sha1', body, 'hex');
}

/** A line an entry: digest and id, compressed. (Ids have no line breaks.) */
export function encodeEntries(entries: PageEntries): Buffer {
  let text = '';
  for (const [id, digest] of entries) text += `${digest} ${id}\n`;
  return deflateRawSync(text, { level: 1 });
}

/** @returns undefined if nobody of ours wrote this */
export function decodeEntries(blob: Buffer): PageEntries | undefined {
  const entries: PageEntries = new Map();
  let text: string;
  try {
    text = inflateRawSync(blob).toString();
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const blank = line.indexOf(' ');
    if (blank === -1) return undefined;
    entries.set(line.slice(blank + 1), line.slice(0, blank));
  }
  return entries;
}

/** The stored head of page `number`; undefined if there is none. */
export async function readHead(redis: RedisConnections, number: number): Promise<PageHead | undefined> {
  const key = redis.keys.syncPage(number);
  const [sha1, token, count, rejected] = await redis.client.hmget(key, 'sha1', 'token', 'count', 'rejected');
  if (!sha1 || !token || !count || !rejected) return undefined;
  return { sha1, token, count: Number(count), rejected: Number(rejected) };
}

/** The stored entries of page `number`; undefined if there is no such page, `unreadable` if it is not ours. */
export async function readEntries(
  redis: RedisConnections,
  number: number,
): Promise<PageEntries | 'unreadable' | undefined> {
  const blob = await redis.client.hgetBuffer(redis.keys.syncPage(number), 'entries');
  return blob === null ? undefined : (decodeEntries(blob) ?? 'unreadable');
}
