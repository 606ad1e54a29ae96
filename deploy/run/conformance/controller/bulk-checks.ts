/** Checks of the pages of the bulk API. Pure: bodies in, findings out. */
import { hash } from 'node:crypto';
import { isLastToken, parseBulkPage } from '../../../../common/messages/bulk.ts';
import { oneLine } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';
import { checkBulkEntry } from './entries.ts';

/** A page larger than this is half of what is accepted. */
const LARGE_PAGE_BYTES = 32 * 1024 * 1024;

export interface BulkOptions {
  /** The host of the controller. */
  who: string;
  /** `bulk_api.max_apps` */
  maxApps: number;
  report: Report;
  /** This machine's clock (epoch seconds). */
  nowS(): number;
}

/** One reading of the whole list. */
export class BulkPass {
  readonly #options: BulkOptions;
  /** What is kept of each app, by id. */
  readonly apps = new Map<string, string>();
  /** Of each page's bytes. */
  readonly digests: string[] = [];
  readonly #tokens = new Set(['{}']);
  #isComplete = false;

  constructor(options: BulkOptions) {
    this.#options = options;
  }

  /** Whether the list came to its end. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** @returns the token of the next page, as JSON; undefined: the list ends here, complete or not */
  page(bytes: Uint8Array): string | undefined {
    const { who, report, nowS, maxApps } = this.#options;
    const number = this.digests.length;
    if (bytes.length > LARGE_PAGE_BYTES) report(who, 'large_page', 'a page above 32 MiB', `page ${number}`);
    const parsed = parseBulkPage(bytes, number === 0);
    if ('reject' in parsed) {
      report(who, 'bulk_failed', `a page without usable ${parsed.reject}`, startOf(bytes));
      return undefined;
    }
    this.digests.push(hash('sha1', bytes, 'base64'));
    const { ids, results, token } = parsed.ok;
    for (const id of ids) {
      if (this.apps.has(id)) report(who, 'listed_twice', 'an app on two pages', id);
      const kept = checkBulkEntry(who, id, results[id], nowS(), report);
      this.apps.set(id, kept ?? 'rejected');
    }
    if (ids.length === 0 || isLastToken(token)) {
      this.#isComplete = true;
      return undefined;
    }
    const next = JSON.stringify(token);
    if (this.#tokens.has(next)) {
      report(who, 'token_repeats', 'the token of an earlier page, with results', `page ${number}: ${next}`);
      return undefined;
    }
    if (this.apps.size > maxApps) {
      report(who, 'bulk_failed', `more than bulk_api.max_apps (${maxApps}) apps: the list may never end`);
      return undefined;
    }
    this.#tokens.add(next);
    return next;
  }
}

/** Compares two complete readings. @param updated droplets of which `droplet.updated` told meanwhile */
export function comparePasses(
  first: BulkPass,
  second: BulkPass,
  updated: ReadonlySet<string>,
  { who, report }: BulkOptions,
): void {
  if (!first.isComplete || !second.isComplete) return;
  const ids = new Set([...first.apps.keys(), ...second.apps.keys()]);
  const changed = [...ids].filter((id) => first.apps.get(id) !== second.apps.get(id));
  for (const id of changed)
    if (!updated.has(id)) report(who, 'unannounced_change', 'an app changed without droplet.updated', id);
  const isRewritten = first.digests.some((digest, at) => digest !== second.digests[at]);
  if (changed.length === 0 && isRewritten && first.digests.length === second.digests.length)
    report(
      who,
      'unsteady_page',
      'the bytes of a page differ although no app changed: its order, fields or spaces',
    );
}

function startOf(bytes: Uint8Array): string {
  return oneLine(Buffer.from(bytes).toString('utf8', 0, 400), 80);
}
