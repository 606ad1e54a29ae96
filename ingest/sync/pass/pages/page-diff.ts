import { type BulkPage, parseBulkEntry } from '../../../../common/messages/bulk.ts';
import { encodeDesired } from '../../../../common/redis/records/record-codec.ts';
import { entryDigest, INVALID, idsDigest, type PageEntries } from './page-store.ts';
import type { ChangedPage } from './page-writer.ts';

/** A page whose body differs from the stored one of the same number. */
export interface NewPage {
  number: number;
  sha1: string;
  token: string;
  page: BulkPage;
  /** Every entry is written, also those that are as before. */
  isWhole: boolean;
}

/**
 * Compares a page with the stored one.
 *
 * @param old the stored entries
 * @param rejected called for each invalid entry; its droplet counts as listed, and its last valid record stays
 */
export function diffPage(
  { number, sha1, token, page, isWhole }: NewPage,
  old: PageEntries,
  rejected: (reason: string, id: string) => void,
): ChangedPage {
  const entries: PageEntries = new Map();
  const encoded = new Map<string, string>();
  const unchanged = new Set<string>();
  let invalid = 0;
  for (const id of page.ids) {
    const parsed = parseBulkEntry(id, page.results[id]);
    let desired = '';
    let digest = INVALID;
    if ('ok' in parsed) {
      desired = encodeDesired(parsed.ok);
      digest = entryDigest(desired);
    } else {
      rejected(parsed.reject, id);
      invalid++;
      // No droplet can have such an id, so this entry lists none.
      if (parsed.reject === 'id') continue;
    }
    entries.set(id, digest);
    if (old.get(id) !== digest) encoded.set(id, desired);
    else if (isWhole) {
      encoded.set(id, desired);
      unchanged.add(id);
    }
  }
  return {
    number,
    head: { sha1, token, count: entries.size, rejected: invalid, ids: idsDigest(entries.keys()) },
    entries,
    old,
    encoded,
    unchanged,
  };
}
