import { isLastToken, parseBulkPage } from '../../../../common/messages/bulk.ts';
import { reportRepair } from '../../../../common/redis/records/repairs.ts';
import { expireAllDigests } from '../../../../common/redis/scripts/deas/expire-digests.ts';
import { withRetry } from '../../api/retry.ts';
import { BulkApiError, PassFailedError } from '../../errors.ts';
import type { PassContext, PassDeps } from '../pass-context.ts';
import { diffPage, type NewPage } from './page-diff.ts';
import { type PageHead, pageDigest, readEntries, readHead } from './page-store.ts';
import type { ChangedPage } from './page-writer.ts';

/** A long pass reports its progress this often; a report also finds out whether another pass has begun. */
const PROGRESS_EVERY_MS = 1000;

/** A list that is longer to read does not end: a million apps take less than a minute. */
const MAX_PASS_MINUTES = 15;

/**
 * Reads all pages, and hands the changed ones to the page writer.
 *
 * @throws PassFailedError, SupersededError; the signal's reason when it is aborted
 */
export async function readPages(pass: PassContext): Promise<void> {
  const { deps, writer, pages, progress } = pass;
  const { clock, metrics, maxApps } = deps;
  const tokens = new Set<string>();
  const idsSeen = new Set<string>();
  let reportedMs = clock.nowMs();
  const deadlineMs = reportedMs + MAX_PASS_MINUTES * 60_000;
  for (let token = '{}'; ; ) {
    tokens.add(token);
    const number = progress.pages;
    const page = await readPageWithRetry(pass, number, token);
    const receivedMs = clock.nowMs();
    progress.lastReplyMs = receivedMs;
    if (page === 'end') return;
    if (receivedMs > deadlineMs) {
      const limit = `expected the end of the pass within ${MAX_PASS_MINUTES} min`;
      throw new PassFailedError(
        'bound',
        `page ${number}: ${limit}, got another page: the list may never end`,
      );
    }
    let head: PageHead;
    if ('page' in page) {
      if (progress.listed + page.page.ids.length > maxApps) {
        const limit = `expected at most ${maxApps} apps in the list, got more`;
        throw new PassFailedError(
          'bound',
          `page ${number}: ${limit}: raise bulk_api.max_apps if they are real`,
        );
      }
      progress.changedPages++;
      const changed = await diffStoredPage(pass, page);
      head = changed.head;
      await pages.add(changed);
    } else {
      head = page;
      progress.isFull = false;
    }
    progress.listed += head.count;
    if (head.ids === '' || !idsSeen.has(head.ids)) progress.distinct += head.count;
    idsSeen.add(head.ids);
    progress.rejected += head.rejected;
    metrics.pages.inc({ kind: 'page' in page ? 'changed' : 'equal' });
    progress.pages = number + 1;
    if (isLastToken(JSON.parse(page.token))) return;
    if (tokens.has(page.token)) {
      throw new PassFailedError(
        'token',
        `page ${number}: the token does not advance: ${page.token.slice(0, 100)}`,
      );
    }
    token = page.token;
    if (receivedMs - reportedMs >= PROGRESS_EVERY_MS) {
      reportedMs = receivedMs;
      await writer.report({ last_reply: receivedMs });
    }
  }
}

async function readPageWithRetry(
  pass: PassContext,
  number: number,
  token: string,
): Promise<PageHead | NewPage | 'end'> {
  const { deps, pages, signal } = pass;
  const stored = readHead(deps.redis, number);
  stored.catch(() => undefined); // awaited after the page has arrived
  return withRetry(() => readPage(pass, number, token, stored), {
    signal,
    maxDelayMs: deps.postponeUpdateMs,
    ...(deps.firstDelayMs === undefined ? {} : { firstDelayMs: deps.firstDelayMs }),
    onFailure: (error, tries) => {
      reportFailedRequest(deps, error, number, tries);
      pages.startWriting();
    },
  });
}

/** @returns the head of the stored page if the page is unchanged; otherwise the new page; `end` if it has no results */
async function readPage(
  { deps, fullRewrite, verification, signal }: PassContext,
  number: number,
  token: string,
  storedHead: Promise<PageHead | undefined>,
): Promise<PageHead | NewPage | 'end'> {
  const body = await deps.api.page(token, signal);
  const stored = await storedHead;
  const sha1 = pageDigest(body);
  const isWhole =
    fullRewrite || (stored?.sha1 === sha1 && (await verification.mustWrite(number, stored.count)));
  if (stored?.sha1 === sha1 && !isWhole) return stored;
  const parsed = parseBulkPage(body, number === 0);
  if (!('ok' in parsed)) throw new BulkApiError('page', `page ${number}: invalid: ${parsed.reject}`);
  const page = parsed.ok;
  if (page.ids.length === 0) return 'end';
  return { number, sha1, token: JSON.stringify(page.token), page, isWhole };
}

async function diffStoredPage(
  { deps, writer, progress, verification }: PassContext,
  page: NewPage,
): Promise<ChangedPage> {
  const { redis, limited, metrics } = deps;
  let stored = await readEntries(redis, page.number);
  const isLost = stored === undefined && page.number < verification.pagesBefore;
  if (isLost || stored === 'unreadable') {
    reportRepair({ repairs: metrics.repairs, limited }, 'page', [String(page.number)]);
    await expireAllDigests(redis);
    // The droplets that were on it are unknown, so a complete pass must search for every droplet, even if this pass fails.
    await writer.report({ rewrite: 1 });
    stored = undefined;
  }
  if (!page.isWhole && stored !== undefined) progress.isFull = false;
  return diffPage(page, stored ?? new Map(), (reason, id) => {
    metrics.rejected.inc({ reason });
    limited.warn(
      `bulk entry ${reason}`,
      { event: 'bulk_entry_rejected', page: page.number, droplet: id.slice(0, 256) },
      'bulk entry rejected; the last valid record of the droplet stays',
    );
  });
}

function reportFailedRequest(
  { limited, metrics }: PassDeps,
  error: BulkApiError,
  page: number,
  tries: number,
): void {
  metrics.failures.inc({ reason: error.reason });
  limited.warn(
    `bulk api ${error.reason}`,
    { event: 'bulk_api_failed', page, tries, problem: error.message },
    'bulk API request failed',
  );
}
