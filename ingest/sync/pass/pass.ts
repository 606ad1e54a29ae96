/**
 * One pass: reads the bulk API from its first page to the one without results, and stores what it lists.
 *
 * Redis keeps the pages as they were last read (digest, ids, a digest of each entry), and the set of the missing. Two
 * invariants hold at every moment, whichever process dies where:
 *
 *   1. Each droplet in the desired state is on a stored page or in the set of the missing.
 *      One step replaces a page and adds to the missing what was on it and is on no page that this pass has stored.
 *      A droplet leaves the missing when a page with it is stored, or when it is marked as gone.
 *   2. The record of each droplet on a stored page has the desired state of that page.
 *      The droplets of a page are written before the page. And no write of an older pass follows one of a newer pass,
 *      however long its process was stopped or cut off: each slot of Redis stores the number of the pass that may
 *      write (fence_pass.lua), and every script that writes compares it.
 *
 * So a page that equals the stored one needs no writes (2). A pass that dies or fails leaves nothing to repair: the next
 * one continues from the stored pages (1). Only a complete pass marks droplets as gone, after it has searched all pages
 * for each missing droplet. It has read every one of these pages itself.
 *
 * A droplet that moved while the pages were read may be marked although it is listed; the next pass removes the mark. No
 * instance of it is stopped before that. The mark has the time at which this pass succeeded. `desired_state_lost` later
 * either another pass has completed and did not list the droplet either, or the hold `desired_unavailable` is on.
 *
 * The hold `mass_delete` is decided before any droplet is marked. The pass counts as complete after all are marked.
 */

import { markFullSyncRequested } from '../../../common/queues/sync-request.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { readSyncState, type SyncState } from '../../../common/redis/fleet/sync-state.ts';
import { reportRepair } from '../../../common/redis/records/repairs.ts';
import { expireAllDigests } from '../../../common/redis/scripts/deas/expire-digests.ts';
import { PassFailedError, SupersededError } from '../errors.ts';
import { completePass } from './completion/complete-pass.ts';
import { FencedWriter } from './fenced-writer.ts';
import { readHead } from './pages/page-store.ts';
import { PageVerification } from './pages/page-verification.ts';
import { PageWriter } from './pages/page-writer.ts';
import { readPages } from './pages/read-pages.ts';
import type { PassDeps, Progress } from './pass-context.ts';

/** How a pass ended. `aborted`: its process is stopping; `superseded`: another pass has begun. */
export type PassOutcome = 'complete' | 'failed' | 'aborted' | 'superseded';

/**
 * Runs one pass and reports its end to Redis, log and metrics.
 *
 * @param signal aborts it
 */
export async function runPass(deps: PassDeps, signal: AbortSignal): Promise<PassOutcome> {
  const { redis, metrics } = deps;
  const state = await readSyncState(redis);
  const { rewrite, dataEpoch, rewrittenAtEpoch } = state;
  const writer = await FencedWriter.begin(deps);
  const progress: Progress = { pages: 0, listed: 0, distinct: 0, rejected: 0, changedPages: 0, isFull: true };
  let outcome: PassOutcome;
  try {
    const isDataLost = await writer.fence(() => writer.report({ rewrite: 1 }));
    const fullRewrite =
      isDataLost || rewrite || dataEpoch !== rewrittenAtEpoch || (await isFullRequested(redis, state));
    // Records that are lost, too, begin without instances: before their grace period ends, every DEA must have been stored whole.
    if (fullRewrite || state.fullBegunMs === undefined) await expireAllDigests(redis);
    const pages = new PageWriter(writer, deps.pagesPerBatch, (ids) => reportLostRecords(deps, ids));
    const verification = new PageVerification(redis, state, writer.begunMs, deps.policy);
    const pass = { deps, writer, pages, fullRewrite, verification, dataEpoch, progress, signal };
    await readPages(pass);
    await completePass(pass);
    outcome = 'complete';
  } catch (error) {
    outcome = await reportFailedPass(deps, writer, progress, error, signal);
  }
  metrics.passes.inc({ outcome });
  return outcome;
}

/** Whether a pass that writes everything was requested, or the stored pages are not those of a pass that is known. */
async function isFullRequested(redis: RedisConnections, state: SyncState): Promise<boolean> {
  const { fullRequestedMs, fullBegunMs } = state;
  if (fullBegunMs === undefined) return (await readHead(redis, 0)) !== undefined;
  return fullRequestedMs !== undefined && fullRequestedMs >= fullBegunMs;
}

/** More may be lost than what the controller lists: a full pass finds all records, also those of droplets that are gone. */
async function reportLostRecords(
  { metrics, limited, redis, clock, policy }: PassDeps,
  ids: readonly string[],
): Promise<void> {
  reportRepair({ repairs: metrics.repairs, limited }, 'record', ids);
  await markFullSyncRequested(redis, clock, policy);
}

/** Reports a pass that did not complete. @returns how it ended */
async function reportFailedPass(
  { clock, log, limited }: PassDeps,
  writer: FencedWriter,
  { lastReplyMs }: Progress,
  error: unknown,
  signal: AbortSignal,
): Promise<PassOutcome> {
  const nowMs = clock.nowMs();
  const lastReply: Record<string, number> = lastReplyMs === undefined ? {} : { last_reply: lastReplyMs };
  try {
    if (error instanceof SupersededError) throw error;
    if (signal.aborted) {
      await writer.report({ aborted: nowMs, ...lastReply });
      return 'aborted';
    }
    const isExpected = error instanceof PassFailedError;
    const reason = isExpected ? error.reason : 'internal';
    const problem = error instanceof Error ? error.message : String(error);
    await writer.report({
      failed: nowMs,
      error: problem.slice(0, 500),
      duration_ms: nowMs - writer.begunMs,
      ...lastReply,
    });
    limited.warn(
      `sync ${reason}`,
      { event: 'sync_failed', problem, ...(isExpected ? {} : { err: error }) },
      'bulk sync failed',
    );
    return 'failed';
  } catch (reportError) {
    if (!(reportError instanceof SupersededError)) throw reportError;
    log.warn({ event: 'sync_superseded' }, 'bulk sync superseded: another pass has begun');
    return 'superseded';
  }
}
