import { storePages } from '../../../../common/redis/scripts/sync/store-pages.ts';
import { SupersededError } from '../../errors.ts';
import type { FencedWriter } from '../fenced-writer.ts';
import type { PageEntries, PageHead } from './page-store.ts';
import { encodeEntries, INVALID } from './page-store.ts';

/** A page that differs from the stored one. */
export interface ChangedPage {
  number: number;
  head: PageHead;
  /** The entries as the pass read them. */
  entries: PageEntries;
  /** The entries as stored by an earlier pass; empty if there was no such page. */
  old: PageEntries;
  /** Encoded desired state of the changed entries, by droplet id. */
  encoded: Map<string, string>;
  /** Those of the encoded entries that are as stored, so that their records must exist. */
  unchanged: ReadonlySet<string>;
}

/** Limits of one batch: enough changes to fill the script calls, few enough to be kept in memory. */
const MAX_BATCH_CHANGES = 8000;
const MAX_BATCH_PAGES = 16;
/** Missing droplets remembered to be found on a later page; the end of the pass finds the others. */
const MAX_REMEMBERED_MISSING = 100_000;

/**
 * Writes changed pages in batches: first the droplets; then, in one step, the pages and the droplets that left them. So the
 * two invariants of a pass hold at every moment (see pass.ts).
 */
export class PageWriter {
  readonly #writer: FencedWriter;
  readonly #pagesPerBatch: number;
  readonly #onLost: (ids: readonly string[]) => Promise<void>;
  #batch: ChangedPage[] = [];
  #batchChanges = 0;
  /** The last page of the previous batch: a droplet that moved from one page to the next is not missing. */
  #last: PageEntries = new Map();
  readonly #missing = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  /** Droplets whose record changed. */
  changed = 0;

  /** @param onLost reports droplets whose record was missing or differed although their entry is as before */
  constructor(
    writer: FencedWriter,
    pagesPerBatch = MAX_BATCH_PAGES,
    onLost: (ids: readonly string[]) => Promise<void> = async () => undefined,
  ) {
    this.#writer = writer;
    this.#onLost = onLost;
    this.#pagesPerBatch = pagesPerBatch;
  }

  /**
   * Adds a page to the batch. Waits while an earlier batch is being written, so that at most two are in memory.
   *
   * @throws SupersededError, or the error of an earlier page
   */
  async add(page: ChangedPage): Promise<void> {
    this.#batch.push(page);
    this.#batchChanges += page.encoded.size;
    if (this.#batchChanges >= MAX_BATCH_CHANGES || this.#batch.length >= this.#pagesPerBatch)
      await this.#flush();
  }

  /** Writes the batch in the background; used while the next page is late. */
  startWriting(): void {
    this.#flush().catch(() => undefined); // the next `add` or `finish` rejects with the error
  }

  /** Resolves when every page is written. @throws SupersededError, or the error of a page */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const pages = this.#batch;
    if (pages.length === 0) return;
    this.#batch = [];
    this.#batchChanges = 0;
    this.#writing = this.#write(pages);
    // The next flush awaits it; until then a rejection must not count as unhandled.
    this.#writing.catch(() => undefined);
  }

  async #write(pages: ChangedPage[]): Promise<void> {
    const { redis, number } = this.#writer;
    const encoded = new Map<string, string>();
    for (const page of pages) for (const [id, desired] of page.encoded) encoded.set(id, desired);
    const unchanged = new Set(pages.flatMap((page) => [...page.unchanged]));
    const { changed, repaired } = await this.#writer.storeDesired(encoded, unchanged, knownOf(pages));
    this.changed += changed;
    if (repaired.length > 0) await this.#onLost(repaired);

    const missing = this.#missingAfter(pages);
    const found = this.#foundOn(pages);
    const stored = await storePages(redis, {
      pass: number,
      pages: pages.map((page) => ({
        number: page.number,
        ...page.head,
        entries: encodeEntries(page.entries),
      })),
      missing,
      found,
    });
    if (stored === 'superseded') throw new SupersededError();
    for (const id of missing) if (this.#missing.size < MAX_REMEMBERED_MISSING) this.#missing.add(id);
    for (const id of found) this.#missing.delete(id);
    this.#last = pages.at(-1)?.entries ?? this.#last;
  }

  /** Droplets that were on one of these pages, and are on none of them and not on the page before. */
  #missingAfter(pages: ChangedPage[]): string[] {
    const missing: string[] = [];
    for (const { old, entries } of pages) {
      for (const id of old.keys()) {
        if (entries.has(id) || this.#last.has(id) || pages.some((page) => page.entries.has(id))) continue;
        missing.push(id);
      }
    }
    return missing;
  }

  /** Missing droplets that one of these pages lists. */
  #foundOn(pages: ChangedPage[]): string[] {
    if (this.#missing.size === 0) return [];
    const found: string[] = [];
    for (const { entries } of pages) {
      for (const id of entries.keys()) if (this.#missing.has(id)) found.push(id);
    }
    return found;
  }
}

/** Which of the changed entries were valid on the stored page, so that their droplets have a desired state. */
function knownOf(pages: readonly ChangedPage[]): Set<string> {
  const known = new Set<string>();
  for (const { old, encoded } of pages) {
    for (const id of encoded.keys()) if ((old.get(id) ?? INVALID) !== INVALID) known.add(id);
  }
  return known;
}
