/** What the audit finds: whether it would have been looked at in time without. */
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import type { Decision, DecisionResult } from '../decide/decide.ts';
import type { Evaluation } from '../reconcile/evaluation.ts';

/** The tick that takes a due droplet up may be this late without its being a miss. */
const TICK_MAY_LATE_MS = 5_000;

/**
 * Whether the droplet will be looked at when it has to be.
 *
 * @param dueMs score of the due list
 */
export function isScheduledInTime(
  look: Pick<Evaluation, 'decided' | 'nowMs'>,
  dueMs: string | null | undefined,
  policy: PolicySettings,
): boolean {
  const { lossMs = Number.POSITIVE_INFINITY } = look.decided;
  const willBeDueMs = Math.min(lossMs, Number(dueMs ?? Number.POSITIVE_INFINITY));
  return willBeDueMs <= neededMs(look, policy) + TICK_MAY_LATE_MS;
}

/** When it must be looked at: what only has to be made sure of now and then, when it is due the next time. */
function neededMs(
  { decided, nowMs }: Pick<Evaluation, 'decided' | 'nowMs'>,
  { dropletGcMs }: PolicySettings,
): number {
  const { changed, tidies, requeueAtMs, requeueOnceEnqueuedMs = requeueAtMs } = decided;
  if (changed && !tidies) return nowMs;
  if (tidies) return Math.min(nowMs + dropletGcMs, requeueOnceEnqueuedMs ?? Number.POSITIVE_INFINITY);
  return requeueOnceEnqueuedMs ?? nowMs;
}

/** DEAs whose loss a tick has yet to mark; what was on them is made due then. */
export async function unmarkedDeas(
  { client, keys }: RedisConnections,
  evaluations: readonly Evaluation[],
  { dropletLostMs }: PolicySettings,
): Promise<ReadonlySet<string>> {
  const silent = new Map<string, number>();
  for (const { droplet, deas, nowMs } of evaluations) {
    for (const { dea } of droplet.instances) {
      const lastHeartbeatMs = deas.get(dea)?.lastHeartbeatMs;
      if (lastHeartbeatMs !== undefined && nowMs - lastHeartbeatMs > dropletLostMs)
        silent.set(dea, lastHeartbeatMs);
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
 * What rests on silence alone is not for a due list: a tick makes it due when it marks the DEA's loss; under a hold on silence
 * not yet, but when that is over.
 */
export function isLeftToTick({ droplet, decided }: Evaluation, unmarked: ReadonlySet<string>): boolean {
  if (droplet.instances.some(({ dea, lastListedMs }) => lastListedMs === undefined && unmarked.has(dea)))
    return true;
  return decided.decisions.some(
    (decision) =>
      decision.kind === 'held' && (decision.hold === 'mass_loss' || decision.hold === 'actual_not_fresh'),
  );
}

/** All that is to be done is missing, and held as nobody has listened for long enough: a tick makes it due when somebody has. */
export function isHeldByFreshness({ decisions }: DecisionResult): boolean {
  const isHeld = (decision: Decision) =>
    decision.kind === 'held' && decision.hold === 'actual_not_fresh' && decision.reason === 'missing';
  return decisions.length > 0 && decisions.every(isHeld);
}

/** What would have come too late: for the log. */
export function missSummary({ droplet, decided, nowMs }: Evaluation): object {
  const { decisions, changed, requeueAtMs } = decided;
  return {
    droplet: droplet.id,
    changed,
    ...(requeueAtMs !== undefined && { lookInMs: requeueAtMs - nowMs }),
    ...(decisions.length > 0 && { decisions: decisions.map(({ kind, id }) => `${kind} ${id}`) }),
  };
}
