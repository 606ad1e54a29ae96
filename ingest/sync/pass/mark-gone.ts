import { readIds } from '../../../common/redis/readers.ts';
import { SupersededError } from '../errors.ts';
import type { FencedWriter } from './fenced-writer.ts';
import { type PageEntries, readEntries } from './page-store.ts';

/** Missing droplets that are looked for together: the pages are gone through once for so many. */
const LOOKED_FOR_TOGETHER = 100_000;
/** Pages that are read together. */
const PAGES_TOGETHER = 8;
/** Ids in one call. */
const IDS_A_CALL = 5000;

export interface GoneOptions {
  /** How many pages the pass has read. */
  pages: number;
  /** Until when what is missing counts as listed (ms). */
  listedMs: number;
  /** Looks through all droplets for such that are on no page: what former passes knew is lost. */
  sweep: boolean;
}

/**
 * The end of a complete pass: marks the droplets that no page lists. Missing is only a suspicion (a droplet may
 * have moved to another page); each is looked for on all pages, which are all of this pass now.
 *
 * Repeatable: a droplet leaves the set of the missing when it is marked.
 *
 * @returns how many droplets were marked
 * @throws SupersededError
 */
export async function markGone(run: FencedWriter, options: GoneOptions): Promise<number> {
  const { client, keys } = run.redis;
  await dropSurplusPages(run, options.pages);
  if (options.sweep) await suspectAll(run);
  let marked = 0;
  for (;;) {
    const suspects = await client.srandmember(keys.syncMissing, LOOKED_FOR_TOGETHER);
    if (suspects.length === 0) return marked;
    const missing = new Set(suspects);
    await lookFor(run, options.pages, missing);
    marked += await run.gone(missing, options.listedMs);
    await store(run, [], [], suspects);
  }
}

/** What was listed on pages that are no more is missing. From the last one, so that the rest stays without gaps. */
async function dropSurplusPages(run: FencedWriter, from: number): Promise<void> {
  const { client, keys } = run.redis;
  let end = from;
  while ((await client.exists(keys.syncPage(end))) === 1) end++;
  for (let number = end - 1; number >= from; number--) {
    const entries = await readEntries(run.redis, number);
    await store(run, [number], entries instanceof Map ? [...entries.keys()] : [], []);
  }
}

/** Takes missing ones out that a page lists. */
async function lookFor(run: FencedWriter, pages: number, missing: Set<string>): Promise<void> {
  for (let first = 0; first < pages && missing.size > 0; first += PAGES_TOGETHER) {
    const numbers = Array.from({ length: Math.min(PAGES_TOGETHER, pages - first) }, (_, at) => first + at);
    const read = await Promise.all(numbers.map((number) => readEntries(run.redis, number)));
    for (const entries of read) {
      // All pages were stored or compared by this pass: one that is not there now was lost meanwhile.
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

/** Suspects every droplet there is; those that are listed are found, and those that never were are not marked. */
async function suspectAll(run: FencedWriter): Promise<void> {
  for (let slice = 0; slice < run.redis.keys.slices; slice++) {
    await store(run, [], await readIds(run.redis, slice), []);
  }
}

/** Removes pages, adds to the missing, takes from them. */
async function store(
  run: FencedWriter,
  gonePages: number[],
  missing: string[],
  found: string[],
): Promise<void> {
  const { scripts, keys } = run.redis;
  const calls: Promise<number>[] = [];
  const names = [keys.syncPass, keys.syncMissing];
  for (let at = 0; at < found.length; at += IDS_A_CALL) {
    calls.push(scripts.storePages(names, [run.number, 0, ...found.slice(at, at + IDS_A_CALL)]));
  }
  for (let at = 0; at < missing.length; at += IDS_A_CALL) {
    const some = missing.slice(at, at + IDS_A_CALL);
    calls.push(scripts.storePages(names, [run.number, some.length, ...some]));
  }
  if ((await Promise.all(calls)).includes(-1)) throw new SupersededError();
  // The page goes last: what it listed is in the missing by then.
  for (const number of gonePages) {
    const answer = await scripts.storePages(
      [...names, keys.syncPage(number)],
      [run.number, '', '', '', '', '', 0],
    );
    if (answer === -1) throw new SupersededError();
  }
}
