import { scanIds } from '../../../../common/redis/records/scan-ids.ts';
import { storePages } from '../../../../common/redis/scripts/sync/store-pages.ts';
import { SupersededError } from '../../errors.ts';
import type { FencedWriter } from '../fenced-writer.ts';
import { type PageEntries, readEntries } from '../pages/page-store.ts';

/** Missing droplets in one search of all pages. */
const SUSPECTS_PER_SEARCH = 100_000;
/** Pages read at the same time. */
const PAGES_PER_READ = 8;
/** Ids in one script call. */
const IDS_A_CALL = 5000;

export interface GoneOptions {
  /** Number of pages the pass has read. */
  pages: number;
  /** The time of the mark: a missing droplet counts as listed until then (ms). */
  listedMs: number;
  /** Searches for every droplet, not only for the missing ones, because data of earlier passes are lost. */
  sweep: boolean;
}

/**
 * Marks the droplets that no page lists, at the end of a complete pass. A missing droplet is only a suspect, because it may
 * have moved to another page. So each is searched for on all pages, which are all of this pass now.
 *
 * Repeatable: a droplet leaves the set of the missing when it is marked.
 *
 * @returns how many droplets were marked
 * @throws SupersededError
 */
export async function markGone(writer: FencedWriter, options: GoneOptions): Promise<number> {
  const { client, keys } = writer.redis;
  await dropSurplusPages(writer, options.pages);
  if (options.sweep) await suspectAll(writer);
  let marked = 0;
  for (;;) {
    const suspects = await client.srandmember(keys.syncMissing, SUSPECTS_PER_SEARCH);
    if (suspects.length === 0) return marked;
    const missing = new Set(suspects);
    await removeListed(writer, options.pages, missing);
    marked += await writer.markGone(missing, options.listedMs);
    await updateMissing(writer, [], [], suspects);
  }
}

/** Removes stored pages after the last one; their droplets become missing. Begins at the end, so that no gap appears. */
async function dropSurplusPages(writer: FencedWriter, from: number): Promise<void> {
  const { client, keys } = writer.redis;
  let end = from;
  while ((await client.exists(keys.syncPage(end))) === 1) end++;
  for (let number = end - 1; number >= from; number--) {
    const entries = await readEntries(writer.redis, number);
    await updateMissing(writer, [number], entries instanceof Map ? [...entries.keys()] : [], []);
  }
}

/** Removes the droplets that a page lists from `missing`. */
async function removeListed(writer: FencedWriter, pages: number, missing: Set<string>): Promise<void> {
  for (let first = 0; first < pages && missing.size > 0; first += PAGES_PER_READ) {
    const numbers = Array.from({ length: Math.min(PAGES_PER_READ, pages - first) }, (_, at) => first + at);
    const read = await Promise.all(numbers.map((number) => readEntries(writer.redis, number)));
    for (const entries of read) {
      // This pass has stored or compared every page, so Redis has lost one that does not exist now.
      if (!(entries instanceof Map)) throw new SupersededError();
      removeAll(missing, entries);
    }
  }
}

function removeAll(missing: Set<string>, entries: PageEntries): void {
  if (missing.size < entries.size) {
    for (const id of missing) if (entries.has(id)) missing.delete(id);
  } else {
    for (const id of entries.keys()) missing.delete(id);
  }
}

/** Adds every known droplet to the missing. Those that no pass ever listed are not marked. */
async function suspectAll(writer: FencedWriter): Promise<void> {
  for await (const ids of scanIds(writer.redis)) await updateMissing(writer, [], ids, []);
}

/** Adds droplets to the missing, removes found ones, and then removes pages. */
async function updateMissing(
  writer: FencedWriter,
  gonePages: number[],
  missing: string[],
  found: string[],
): Promise<void> {
  const { redis, number: pass } = writer;
  const calls: ReturnType<typeof storePages>[] = [];
  for (let at = 0; at < found.length; at += IDS_A_CALL) {
    calls.push(storePages(redis, { pass, found: found.slice(at, at + IDS_A_CALL) }));
  }
  for (let at = 0; at < missing.length; at += IDS_A_CALL) {
    calls.push(storePages(redis, { pass, missing: missing.slice(at, at + IDS_A_CALL) }));
  }
  if ((await Promise.all(calls)).includes('superseded')) throw new SupersededError();
  // After its droplets are among the missing.
  for (const number of gonePages) {
    if ((await storePages(redis, { pass, removed: [number] })) === 'superseded') throw new SupersededError();
  }
}
