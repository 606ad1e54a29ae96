import { type BulkPage, parseBulkEntry } from '../../../common/messages/incoming.ts';
import { encodeDesired } from '../../../common/redis/record-codec.ts';
import { entryDigest, type PageEntries, UNREADABLE } from './page-store.ts';
import type { ChangedPage } from './page-writer.ts';

/** A body that differs from the stored page of its number. */
export interface NewPage {
  number: number;
  sha1: string;
  token: string;
  page: BulkPage;
}

/**
 * What changed on a page.
 *
 * @param old the page as stored
 * @param everything takes all entries as changed
 * @param rejected hears of each entry that does not fit; it counts as listed, and its last good record stays
 */
export function diffPage(
  { number, sha1, token, page }: NewPage,
  old: PageEntries,
  everything: boolean,
  rejected: (reason: string, id: string) => void,
): ChangedPage {
  const entries: PageEntries = new Map();
  const words = new Map<string, string>();
  let unreadable = 0;
  for (const id of page.ids) {
    const parsed = parseBulkEntry(id, page.results[id]);
    let text = '';
    let digest = UNREADABLE;
    if ('ok' in parsed) {
      text = encodeDesired(parsed.ok);
      digest = entryDigest(text);
    } else {
      rejected(parsed.reject, id);
      unreadable++;
      // No droplet can have such an id, so nothing is listed.
      if (parsed.reject === 'id') continue;
    }
    entries.set(id, digest);
    if (everything || old.get(id) !== digest) words.set(id, text);
  }
  return { number, head: { sha1, token, count: entries.size, rejected: unreadable }, entries, old, words };
}
