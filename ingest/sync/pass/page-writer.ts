import { SupersededError } from '../errors.ts';
import type { FencedWriter } from './fenced-writer.ts';
import type { PageEntries, PageHead } from './page-store.ts';
import { encodeEntries } from './page-store.ts';

/** A page that is not as it was. */
export interface ChangedPage {
  number: number;
  head: PageHead;
  /** As it is now. */
  entries: PageEntries;
  /** As it was at the last pass that read it; empty if there was no such page. */
  old: PageEntries;
  /** What changed: droplet id -> desired state in words. */
  words: Map<string, string>;
}

/** So much is written together: enough that a call holds many droplets, little enough to be kept in memory. */
const CHANGES_TOGETHER = 8000;
const PAGES_TOGETHER = 16;
/** Missing droplets that are kept in mind to be found again on a later page; beyond, the end of the pass finds them. */
const KEPT_IN_MIND = 100_000;

/**
 * Writes changed pages: first the droplets, then, all at once, the pages and which droplets are on none of them
 * any more. So at any moment each droplet that is in the desired state is on a stored page or in the set of
 * the missing, and each droplet on a stored page is stored as that page says.
 */
export class PageWriter {
  readonly #run: FencedWriter;
  readonly #pagesTogether: number;
  #pages: ChangedPage[] = [];
  #changes = 0;
  /** The last page that was stored: what moved from one page to the next is not missing. */
  #last: PageEntries = new Map();
  readonly #missing = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  /** Droplets whose record changed. */
  changed = 0;

  constructor(run: FencedWriter, pagesTogether = PAGES_TOGETHER) {
    this.#run = run;
    this.#pagesTogether = pagesTogether;
  }

  /**
   * Takes a page; waits while an earlier batch is being written, so that at most two are in memory.
   *
   * @throws SupersededError, or what went wrong with an earlier page
   */
  async add(page: ChangedPage): Promise<void> {
    this.#pages.push(page);
    this.#changes += page.words.size;
    if (this.#changes >= CHANGES_TOGETHER || this.#pages.length >= this.#pagesTogether) await this.#flush();
  }

  /** Writes what is there, in the background: the next page is late. */
  hurry(): void {
    this.#flush().catch(() => undefined); // what went wrong is told to who waits for it
  }

  /** Writes what is left, and waits until all is written. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const pages = this.#pages;
    if (pages.length === 0) return;
    this.#pages = [];
    this.#changes = 0;
    this.#writing = this.#write(pages);
    // It is waited for by the next flush; until then its failure is nobody's.
    this.#writing.catch(() => undefined);
  }

  async #write(pages: ChangedPage[]): Promise<void> {
    const { redis, number } = this.#run;
    const words = new Map<string, string>();
    for (const page of pages) for (const [id, text] of page.words) words.set(id, text);
    this.changed += await this.#run.desired(words);

    const missing = this.#leftTheirPage(pages);
    const found = this.#cameBack(pages);
    const records = pages.flatMap(({ head, entries }) => [
      head.sha1,
      head.token,
      head.count,
      head.rejected,
      encodeEntries(entries),
    ]);
    const stored = await redis.scripts.storePages(
      [redis.keys.syncPass, redis.keys.syncMissing, ...pages.map((page) => redis.keys.syncPage(page.number))],
      [number, ...records, missing.length, ...missing, ...found],
    );
    if (stored === -1) throw new SupersededError();
    for (const id of missing) if (this.#missing.size < KEPT_IN_MIND) this.#missing.add(id);
    for (const id of found) this.#missing.delete(id);
    this.#last = pages.at(-1)?.entries ?? this.#last;
  }

  #leftTheirPage(pages: ChangedPage[]): string[] {
    const left: string[] = [];
    for (const { old, entries } of pages) {
      for (const id of old.keys()) {
        if (entries.has(id) || this.#last.has(id) || pages.some((page) => page.entries.has(id))) continue;
        left.push(id);
      }
    }
    return left;
  }

  #cameBack(pages: ChangedPage[]): string[] {
    if (this.#missing.size === 0) return [];
    const back: string[] = [];
    for (const { entries } of pages) {
      for (const id of entries.keys()) if (this.#missing.has(id)) back.push(id);
    }
    return back;
  }
}
