/**
 * One pass over the bulk API: from its first page to the one without results.
 *
 * What is remembered (all in Redis): the pages as they were last read (digest, ids, a digest of each entry), and
 * the set of the missing. Two things hold at every moment, whatever process dies where:
 *
 *   1. Each droplet that is in the desired state is on a stored page or in the set of the missing.
 *      A page is replaced in one step with adding to the missing what was on it and is on no page that this pass
 *      has stored; a droplet leaves the missing when a page with it is stored, or when it is marked as gone.
 *   2. What a stored page says of a droplet is in the droplet's record.
 *      The droplets of a page are written first. And no write of an older pass comes after one of a newer pass,
 *      however long its process was stopped or cut off: each slot of Redis knows the pass that may write
 *      (fence_pass.lua), and every script that writes asks for it.
 *
 * So a page that is equal to the stored one needs no look (2). A pass that dies or fails leaves nothing to be
 * repaired: the next one goes on from the pages as they are (1). And only a complete pass marks droplets as gone,
 * after it has looked for each missing one on all pages, every one of which it has read itself.
 *
 * A droplet that moved while the pages were read may be missed, although it is there; the next pass takes the mark
 * away. No instance of it is stopped before: the mark bears the time at which this pass succeeded, and
 * `desired_state_lost` after that either another pass has completed and did not list the droplet again, or the
 * hold `desired_unavailable` is on.
 *
 * The hold `mass_delete` is decided before any droplet is marked, and the pass counts as complete after all are.
 */

import { parseBulkPage } from '../../../common/messages/incoming.ts';
import {
  type MassDelete,
  massDeleteAfter,
  massDeleteAfterPass,
  releaseMassDelete,
} from '../../../common/policy/mass-delete.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connections.ts';
import { isUnreadable, RELEASE_FIELD, readMassDelete } from '../../../common/redis/holds.ts';
import { readFleetFacts } from '../../../common/redis/readers.ts';
import type { Logger, RateLimitedLog } from '../../../common/runtime/log.ts';
import type { BulkApi } from '../api/bulk-api.ts';
import { BulkApiError, PassFailedError, SupersededError } from '../errors.ts';
import { FencedWriter } from './fenced-writer.ts';
import { markGone } from './mark-gone.ts';
import type { SyncMetrics } from '../metrics.ts';
import { diffPage, type NewPage } from './page-diff.ts';
import { type PageHead, pageDigest, readEntries, readHead } from './page-store.ts';
import { PageWriter } from './page-writer.ts';
import { withRetry } from '../api/retry.ts';
import { readRelease, readSyncState } from '../sync-state.ts';

export interface PassDeps {
  redis: RedisConnections;
  clock: Clock;
  api: BulkApi;
  policy: PolicySettings;
  postponeUpdateMs: number;
  log: Logger;
  limited: RateLimitedLog;
  metrics: SyncMetrics;
  /** Who does it: for people. */
  owner: string;
  /** First wait after a failed request; for tests. */
  firstDelayMs?: number;
  /** Changed pages that are written together; for tests. */
  pagesTogether?: number;
}

/** How a pass ended. `aborted`: the process is being stopped; `superseded`: another pass has begun. */
export type PassOutcome = 'complete' | 'failed' | 'aborted' | 'superseded';

/** While a long pass runs it says once in this time that it does, and learns whether it may go on. */
const PROGRESS_EVERY_MS = 1000;

interface Progress {
  pages: number;
  listed: number;
  rejected: number;
  changedPages: number;
  /** When a page was last read. */
  lastReplyMs?: number;
}

/**
 * Runs one pass and reports how it ended, to Redis, log and metrics.
 *
 * @param signal breaks it off
 */
export async function runPass(deps: PassDeps, signal: AbortSignal): Promise<PassOutcome> {
  const { redis, clock, metrics } = deps;
  const before = await readSyncState(redis);
  const run = await FencedWriter.begin(redis, clock, deps.owner);
  const progress: Progress = { pages: 0, listed: 0, rejected: 0, changedPages: 0 };
  let outcome: PassOutcome;
  try {
    const lost = await run.fence(() => run.report({ rewrite: 1 }));
    const { dataEpoch } = before;
    const everything = lost || before.rewrite || dataEpoch !== before.rewrittenAtEpoch;
    const writer = new PageWriter(run, deps.pagesTogether);
    await readPages(deps, run, writer, everything, progress, signal);
    await complete(deps, run, writer, everything ? { dataEpoch } : undefined, progress, signal);
    outcome = 'complete';
  } catch (error) {
    outcome = await broken(deps, run, progress, error, signal);
  }
  metrics.passes.inc({ outcome });
  return outcome;
}

async function readPages(
  deps: PassDeps,
  run: FencedWriter,
  writer: PageWriter,
  everything: boolean,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { redis, clock, metrics } = deps;
  const tokens = new Set<string>();
  let reportedMs = clock.nowMs();
  for (let token = '{}'; ; progress.pages++) {
    tokens.add(token);
    const number = progress.pages;
    const stored = readHead(redis, number);
    stored.catch(() => undefined); // it is waited for below, after the page
    const read = await withRetry(() => readPage(deps, number, token, stored, everything, signal), {
      signal,
      delayAtMostMs: deps.postponeUpdateMs,
      ...(deps.firstDelayMs === undefined ? {} : { firstDelayMs: deps.firstDelayMs }),
      failed: (error, tries) => {
        requestFailed(deps, error, number, tries);
        writer.hurry();
      },
    });
    progress.lastReplyMs = clock.nowMs();
    if (read === 'end') return;
    if ('page' in read) {
      progress.changedPages++;
      const changed = await changedPage(deps, run, read, everything);
      progress.listed += changed.head.count;
      progress.rejected += changed.head.rejected;
      await writer.add(changed);
    } else {
      progress.listed += read.count;
      progress.rejected += read.rejected;
    }
    metrics.pages.inc({ kind: 'page' in read ? 'changed' : 'equal' });
    if (tokens.has(read.token)) {
      throw new PassFailedError(
        'token',
        `page ${number}: the token does not advance: ${read.token.slice(0, 100)}`,
      );
    }
    token = read.token;
    if (progress.lastReplyMs - reportedMs >= PROGRESS_EVERY_MS) {
      reportedMs = progress.lastReplyMs;
      await run.report({ last_reply: progress.lastReplyMs });
    }
  }
}

/** The stored page itself if it is as it was; else the new one; `end` if it has no results. */
async function readPage(
  { api }: PassDeps,
  number: number,
  token: string,
  storedHead: Promise<PageHead | undefined>,
  everything: boolean,
  signal: AbortSignal,
): Promise<PageHead | NewPage | 'end'> {
  const body = await api.page(token, signal);
  const stored = await storedHead;
  const sha1 = pageDigest(body);
  if (stored?.sha1 === sha1 && !everything) return stored;
  const parsed = parseBulkPage(body);
  if (!('ok' in parsed)) throw new BulkApiError('page', `page ${number}: not usable: ${parsed.reject}`);
  const page = parsed.ok;
  if (page.ids.length === 0) return 'end';
  return { number, sha1, token: JSON.stringify(page.token), page };
}

async function changedPage(
  { redis, limited, metrics }: PassDeps,
  run: FencedWriter,
  page: NewPage,
  everything: boolean,
) {
  let old = await readEntries(redis, page.number);
  if (old === 'unreadable') {
    // What was on it is not known, so the end of the pass must look at every droplet; also if this one fails.
    await run.report({ rewrite: 1 });
    old = undefined;
  }
  return diffPage(page, old ?? new Map(), everything, (reason, id) => {
    metrics.rejected.inc({ reason });
    limited.warn(
      `bulk entry ${reason}`,
      { event: 'bulk_entry_rejected', page: page.number, droplet: id.slice(0, 256) },
      'an entry of a bulk page does not fit; its last good record stays',
    );
  });
}

async function complete(
  deps: PassDeps,
  run: FencedWriter,
  writer: PageWriter,
  everything: { dataEpoch: string | null } | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { redis, clock, metrics, log } = deps;
  const users = deps.api.users(signal).catch((error: unknown) => {
    metrics.failures.inc({ reason: 'users' });
    log.debug({ err: error }, 'the count of users is not to be had');
    return undefined;
  });
  await writer.finish();
  const [hold, holdNow] = await judge(deps, run, progress.listed);
  // As long as anything is to be looked for everywhere, the flag is read anew: a page may have raised it.
  const sweep = everything !== undefined || (await readSyncState(redis)).rewrite;
  const succeededMs = clock.nowMs();
  const gone = await markGone(run, { pages: progress.pages, listedMs: succeededMs, sweep });
  const usersNow = await users;
  const endedMs = clock.nowMs();
  const { pages, listed, rejected, changedPages, lastReplyMs = endedMs } = progress;
  await run.report({
    completed: run.begunMs,
    succeeded: succeededMs,
    listed,
    pages,
    rejected,
    changed: writer.changed,
    duration_ms: endedMs - run.begunMs,
    last_reply: lastReplyMs,
    error: '',
    rewrite: '',
    ...(everything === undefined ? {} : { rewritten_at_epoch: everything.dataEpoch ?? '' }),
    ...(usersNow === undefined ? {} : { users: usersNow }),
  });
  metrics.duration.observe((endedMs - run.begunMs) / 1000);
  metrics.listed.set(listed);
  metrics.changed.inc(writer.changed);
  metrics.gone.inc(gone);
  const fields = {
    event: 'sync_completed',
    listed,
    pages,
    changedPages,
    changed: writer.changed,
    gone,
    rejected,
  };
  log[writer.changed + gone > 0 ? 'info' : 'debug'](
    { ...fields, ms: endedMs - run.begunMs },
    'bulk sync complete',
  );
  if (holdNow.sinceMs !== undefined && hold.sinceMs === undefined) {
    log.warn(
      { event: 'hold_on', hold: 'mass_delete', listed, accepted: holdNow.accepted },
      'the controller lists far fewer droplets than before: surplus apps are not stopped for now',
    );
  }
}

/** The hold `mass_delete` before and after this pass; an operator's release takes effect here. */
async function judge(
  { redis, clock, policy, log, metrics }: PassDeps,
  run: FencedWriter,
  listed: number,
): Promise<[before: MassDelete, after: MassDelete]> {
  const [facts, release] = await Promise.all([readFleetFacts(redis), readRelease(redis)]);
  if (isUnreadable('mass_delete', facts)) {
    metrics.holdUnreadable.inc();
    log.warn(
      { event: 'unreadable_hold', hold: 'mass_delete' },
      'the state of this hold cannot be read: surplus apps are not stopped until its time is over or it is released',
    );
  }
  let before = massDeleteAfter(readMassDelete(facts, clock.nowMs()), clock.nowMs(), policy);
  if (release) before = releaseMassDelete(before);
  const after = massDeleteAfterPass(before, listed, clock.nowMs(), policy);
  await run.report({ mass_delete: JSON.stringify(after), [RELEASE_FIELD.mass_delete]: '' }, redis.keys.holds);
  return [before, after];
}

/** A pass that did not complete: says why. */
async function broken(
  { clock, log, limited }: PassDeps,
  run: FencedWriter,
  { lastReplyMs }: Progress,
  error: unknown,
  signal: AbortSignal,
): Promise<PassOutcome> {
  const nowMs = clock.nowMs();
  const heard: Record<string, number> = lastReplyMs === undefined ? {} : { last_reply: lastReplyMs };
  try {
    if (error instanceof SupersededError) throw error;
    if (signal.aborted) {
      await run.report({ aborted: nowMs, ...heard });
      return 'aborted';
    }
    const reason = error instanceof PassFailedError ? error.reason : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    await run.report({
      failed: nowMs,
      error: message.slice(0, 500),
      duration_ms: nowMs - run.begunMs,
      ...heard,
    });
    const unexpected = error instanceof PassFailedError ? {} : { err: error };
    limited.warn(
      `sync ${reason}`,
      { event: 'sync_failed', problem: message, ...unexpected },
      'bulk sync failed',
    );
    return 'failed';
  } catch (end) {
    if (!(end instanceof SupersededError)) throw end;
    log.warn({ event: 'sync_superseded' }, 'another bulk sync has begun; this one ends');
    return 'superseded';
  }
}

function requestFailed(
  { limited, metrics }: PassDeps,
  error: BulkApiError,
  page: number,
  tries: number,
): void {
  metrics.failures.inc({ reason: error.reason });
  limited.warn(
    `bulk api ${error.reason}`,
    { event: 'bulk_api_failed', page, tries, problem: error.message },
    'a request to the bulk API failed',
  );
}
