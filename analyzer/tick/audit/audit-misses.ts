/** Decides whether a droplet found by the audit is a miss, that is, whether the due list would have missed it. */
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import type { Decision, DecisionResult } from '../../decide/decide.ts';
import type { Evaluation } from '../../reconcile/evaluation.ts';

/** The tick may reconcile a due droplet this late; later is a miss. */
const TICK_LATENESS_MS = 5_000;

/**
 * Whether the droplet will be reconciled when it has to be.
 *
 * @param dueMs its score in the due list, as Redis returns it; null if it is not in the list
 */
export function isScheduledInTime(
  evaluation: Pick<Evaluation, 'decided' | 'nowMs'>,
  dueMs: string | null | undefined,
  settings: PolicySettings,
): boolean {
  const { lossMs = Number.POSITIVE_INFINITY } = evaluation.decided;
  // No worker takes a job that would have been done long ago.
  if (dueMs != null && Number(dueMs) < evaluation.nowMs - settings.dropletLostMs) return false;
  const willBeDueMs = Math.min(lossMs, Number(dueMs ?? Number.POSITIVE_INFINITY));
  return willBeDueMs <= neededMs(evaluation, settings) + TICK_LATENESS_MS;
}

/** When the droplet must be reconciled: now if it has changes to store, else when its clean-up or requeue is due. */
function neededMs(
  { decided, nowMs }: Pick<Evaluation, 'decided' | 'nowMs'>,
  { dropletGcMs }: PolicySettings,
): number {
  const { changed, isCleanUpOnly, requeueAtMs, requeueOnceEnqueuedMs = requeueAtMs } = decided;
  if (changed && !isCleanUpOnly) return nowMs;
  if (isCleanUpOnly) return Math.min(nowMs + dropletGcMs, requeueOnceEnqueuedMs ?? Number.POSITIVE_INFINITY);
  return requeueOnceEnqueuedMs ?? nowMs;
}

/** The silent DEAs of these droplets whose loss no tick has marked yet. Marking makes their droplets due. */
export async function unmarkedDeas(
  { client, keys }: RedisConnections,
  evaluations: readonly Evaluation[],
): Promise<ReadonlySet<string>> {
  const silent = new Map<string, number>();
  for (const { droplet, deas, lostBeforeMs } of evaluations) {
    for (const { dea } of droplet.instances) {
      const lastHeartbeatMs = deas.get(dea)?.lastHeartbeatMs;
      if (lastHeartbeatMs !== undefined && lastHeartbeatMs < lostBeforeMs) silent.set(dea, lastHeartbeatMs);
    }
  }
  if (silent.size === 0) return new Set();
  const marks = await client.zmscore(keys.deasLost, ...silent.keys());
  return new Set(
    [...silent]
      .filter(([, lastHeartbeatMs], at) => Number(marks[at]) !== lastHeartbeatMs)
      .map(([dea]) => dea),
  );
}

/**
 * Whether a tick makes the droplet due, so that it need not be in the due list. Decisions that rest on silence alone
 * follow when a tick marks the loss of the DEA, or when the hold on them ends.
 */
export function isLeftToTick({ droplet, decided }: Evaluation, unmarked: ReadonlySet<string>): boolean {
  if (droplet.instances.some(({ dea, lastListedMs }) => lastListedMs === undefined && unmarked.has(dea)))
    return true;
  return decided.decisions.some(
    (decision) =>
      decision.kind === 'held' && (decision.hold === 'mass_loss' || decision.hold === 'actual_not_fresh'),
  );
}

/** Whether all decisions are missing starts held by `actual_not_fresh`. A tick makes the droplet due when the hold ends. */
export function isHeldByFreshness({ decisions }: DecisionResult): boolean {
  const isHeld = (decision: Decision) =>
    decision.kind === 'held' && decision.hold === 'actual_not_fresh' && decision.reason === 'missing';
  return decisions.length > 0 && decisions.every(isHeld);
}

/** Describes a miss for the log. */
export function missSummary({ droplet, decided, nowMs }: Evaluation): object {
  const { decisions, changed, requeueAtMs } = decided;
  return {
    droplet: droplet.id,
    changed,
    ...(requeueAtMs !== undefined && { requeueInMs: requeueAtMs - nowMs }),
    ...(decisions.length > 0 && { decisions: decisions.map(({ kind, id }) => `${kind} ${id}`) }),
  };
}
