import { hash } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { RedisConnections } from '../../../../common/redis/connection/connections.ts';

/** The stored form of a bulk page, without its entries. */
export interface PageHead {
  /** SHA-1 of the body as received. */
  sha1: string;
  /** The token that requests the next page, as JSON. */
  token: string;
  /** Droplets listed, including those with an invalid entry. */
  count: number;
  /** Invalid entries. */
  rejected: number;
  /** Digest of the ids: two pages that have the same name the same droplets. Empty if a former version stored the page. */
  ids: string;
}

/** Digest of each entry, by droplet id. */
export type PageEntries = Map<string, string>;

/** Stands for the digest of an invalid entry. It equals no digest, so the entry is parsed again when the page changes. */
export const INVALID = '-';

/**
 * The digest of an encoded desired state. With 32 bits one change in four billion is missed, until the entry changes
 * again. (A longer digest costs a tenth of a first sync.)
 */
export function entryDigest(encoded: string): string {
  return crc32(encoded).toString(36);
}

export function pageDigest(body: Buffer): string {
  return hash('sha1', body, 'hex');
}

/** The digest of the ids of a page. */
export function idsDigest(ids: Iterable<string>): string {
  return hash('sha1', [...ids].join('\n'), 'base64url');
}

/** One line an entry (digest, id), compressed. Ids have no line breaks. */
export function encodeEntries(entries: PageEntries): Buffer {
  let text = '';
  for (const [id, digest] of entries) text += `${digest} ${id}\n`;
  return deflateRawSync(text, { level: 1 });
}

/** @returns undefined if this is not in the format of `encodeEntries` */
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
  const [[sha1, token, count, rejected, ids], hasEntries] = await Promise.all([
    redis.client.hmget(key, 'sha1', 'token', 'count', 'rejected', 'ids'),
    redis.client.hexists(key, 'entries'),
  ]);
  if (!sha1 || !token || !count || !rejected || hasEntries === 0) return undefined;
  return { sha1, token, count: Number(count), rejected: Number(rejected), ids: ids ?? '' };
}

/** The stored entries of page `number`; undefined if there is no such page, `unreadable` if it is in another format. */
export async function readEntries(
  redis: RedisConnections,
  number: number,
): Promise<PageEntries | 'unreadable' | undefined> {
  const blob = await redis.client.hgetBuffer(redis.keys.syncPage(number), 'entries');
  return blob === null ? undefined : (decodeEntries(blob) ?? 'unreadable');
}
