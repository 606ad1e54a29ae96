import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** A bulk page as it is kept. */
export interface StoredPage {
  number: number;
  sha1: string;
  token: string;
  count: number;
  rejected: number;
  /** Digest of the ids. */
  ids: string;
  /** Digests and ids, compressed. */
  entries: Buffer;
}

/** All of it is written in one step. */
export interface PagesWrite {
  pass: string;
  pages?: readonly StoredPage[];
  /** Numbers of the pages to remove. */
  removed?: readonly number[];
  /** Droplets that are on no page from now on. */
  missing?: readonly string[];
  /** Droplets that are missing no more. */
  found?: readonly string[];
}

/** Stores and removes bulk pages, and changes the set of the missing droplets. @returns superseded if another pass may write */
export async function storePages(
  { scripts, keys }: ScriptAccess,
  { pass, pages = [], removed = [], missing = [], found = [] }: PagesWrite,
): Promise<'stored' | 'superseded'> {
  const reply = await scripts.run(
    'store_pages',
    [
      keys.syncPass,
      keys.syncMissing,
      ...pages.map(({ number }) => keys.syncPage(number)),
      ...removed.map(keys.syncPage),
    ],
    [
      ...[pass, pages.length, missing.length],
      ...pages.flatMap(({ sha1, token, count, rejected, ids, entries }) => [
        sha1,
        token,
        count,
        rejected,
        ids,
        entries,
      ]),
      ...missing,
      ...found,
    ],
  );
  return decodeCode(reply, 'stored', 'superseded');
}
