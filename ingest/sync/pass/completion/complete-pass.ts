import {
  type MassDelete,
  massDeleteAfter,
  massDeleteAfterPass,
  releaseMassDelete,
} from '../../../../common/policy/fleet/mass-delete.ts';
import type { RedisConnections } from '../../../../common/redis/connection/connections.ts';
import { isUnreadable, RELEASE_FIELD, readMassDelete } from '../../../../common/redis/fleet/holds/holds.ts';
import { readSummary } from '../../../../common/redis/fleet/summary.ts';
import { readSyncState } from '../../../../common/redis/fleet/sync-state.ts';
import { countIds } from '../../../../common/redis/records/readers.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { readRelease } from '../../sync-state.ts';
import type { PassContext } from '../pass-context.ts';
import { markGone } from './mark-gone.ts';

/**
 * Completes a pass that has read all pages: decides the hold `mass_delete`, marks the droplets that are gone, and reports.
 *
 * @throws SupersededError
 */
export async function completePass(pass: PassContext): Promise<void> {
  const { deps, writer, pages: pageWriter, progress, fullRewrite, dataEpoch } = pass;
  const { redis, clock, metrics, log } = deps;
  const userCount = readUserCount(pass);
  await pageWriter.finish();
  const { before, after } = await decideMassDelete(pass);
  // The flag is read again, because a page of this pass may have set it.
  const sweep = fullRewrite || (await readSyncState(redis)).rewrite;
  const succeededMs = clock.nowMs();
  const gone = await markGone(writer, { pages: progress.pages, listedMs: succeededMs, sweep });
  const users = await userCount;
  const endedMs = clock.nowMs();
  const { changed } = pageWriter;
  const { pages, listed, rejected, changedPages, lastReplyMs = endedMs } = progress;
  await writer.report({
    completed: writer.begunMs,
    succeeded: succeededMs,
    listed,
    pages,
    rejected,
    changed,
    duration_ms: endedMs - writer.begunMs,
    last_reply: lastReplyMs,
    error: '',
    rewrite: '',
    ...(progress.isFull ? { full_begun: writer.begunMs } : {}),
    ...(fullRewrite ? { rewritten_at_epoch: dataEpoch ?? '' } : {}),
    ...(users === undefined ? {} : { users }),
  });
  metrics.duration.observe((endedMs - writer.begunMs) / 1000);
  metrics.listed.set(listed);
  metrics.changed.inc(changed);
  metrics.gone.inc(gone);
  log[changed + gone > 0 ? 'info' : 'debug'](
    {
      event: 'sync_completed',
      ...{ listed, pages, changedPages, changed, gone, rejected },
      ms: endedMs - writer.begunMs,
    },
    'bulk sync complete',
  );
  if (after.sinceMs !== undefined && before.sinceMs === undefined) {
    log.warn(
      { event: 'hold_on', hold: 'mass_delete', listed, accepted: after.accepted },
      'hold on: the controller lists far fewer droplets than before; surplus apps are not stopped',
    );
  }
}

/** The number of users is only shown, so a failure is no failure of the pass. */
async function readUserCount({ deps, signal }: PassContext): Promise<number | undefined> {
  try {
    return await deps.api.users(signal);
  } catch (error) {
    deps.metrics.failures.inc({ reason: 'users' });
    deps.log.debug({ err: error }, 'user count not available');
    return undefined;
  }
}

/** Decides and stores the hold `mass_delete`; an operator's release takes effect here. */
async function decideMassDelete({
  deps,
  writer,
  progress,
}: PassContext): Promise<{ before: MassDelete; after: MassDelete }> {
  const { redis, clock, policy, log, metrics } = deps;
  const [facts, isReleased, totals] = await Promise.all([
    readFleetFacts(redis),
    readRelease(redis),
    readSummary(redis, ['live_droplets']),
  ]);
  if (isUnreadable('mass_delete', facts)) {
    metrics.holdUnreadable.inc();
    log.warn(
      { event: 'unreadable_hold', hold: 'mass_delete' },
      'hold unreadable: surplus apps are not stopped until it expires or is released',
    );
  }
  let before = massDeleteAfter(readMassDelete(facts, clock.nowMs()), clock.nowMs(), policy);
  if (isReleased) before = releaseMassDelete(before);
  const after = massDeleteAfterPass(
    before,
    await distinctlyListed(redis, progress.distinct, before.accepted ?? 0),
    totals.get('live_droplets') ?? 0,
    clock.nowMs(),
    policy,
  );
  await writer.report(
    { mass_delete: JSON.stringify(after), [RELEASE_FIELD.mass_delete]: '' },
    redis.keys.holds,
  );
  return { before, after };
}

/**
 * How many apps the pass has listed, at most. A list that begins again in the middle of a page names apps more than once, and
 * so large a baseline would raise `mass_delete` at the next pass. Every listed app has a record, so what exceeds the accepted number is compared with them.
 */
async function distinctlyListed(redis: RedisConnections, listed: number, accepted: number): Promise<number> {
  if (listed <= accepted) return listed;
  const slices = Array.from({ length: redis.keys.slices }, (_, slice) => countIds(redis, slice));
  const records = (await Promise.all(slices)).reduce((sum, count) => sum + count, 0);
  return Math.max(accepted, Math.min(listed, records));
}
