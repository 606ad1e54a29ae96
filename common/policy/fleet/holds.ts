/** Which hold covers which decision of a droplet. The files beside this one turn the holds on and off. */
import type { Droplet, Exit, Holds, Instance } from '../../model/droplet.ts';
import { isLiveState } from '../../model/instance-states.ts';
import type { HoldName, StartReason, StopReason } from '../../model/reasons.ts';
import type { PolicySettings } from '../settings.ts';
import { mayBeRenamed } from '../slots/wanted.ts';
import type { Snapshot } from '../snapshot.ts';
import { isLossUnconfirmed } from './freshness.ts';
import { listeningTimeMs } from './listening-time.ts';
import { heartbeatOfItsDeaMs, isExitInForce, isListed, lostBefore } from './liveness.ts';
import { lossesEvaluatedMs } from './mass-loss.ts';
import { operatorHoldOnStart, operatorHoldOnStop } from './operator-hold.ts';

/**
 * The hold `update_required`: a `droplet.updated` was received, and no pass that began after it has listed the droplet or
 * completed; or the droplet has an instance of a version that no pass has brought, and every pass began before it was first listed.
 */
export function updateRequired({ droplet, holds, unknownVersionSinceMs }: Snapshot): boolean {
  return unknownVersionSinceMs !== undefined || isUpdateUnread(droplet, holds);
}

function isUpdateUnread(droplet: Droplet, holds: Holds): boolean {
  const { updatedMs, listedMs } = droplet;
  if (updatedMs === undefined || (listedMs !== undefined && listedMs > updatedMs)) return false;
  return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= updatedMs;
}

/**
 * Why a start waits: a hold, or `evaluating`. That is for the second or so after a loss in which it is not known yet whether `mass_loss`
 * will be raised, and while a record that was begun anew may lack instances. That is no hold, so it is not shown as one.
 */
export type StartWait = HoldName | 'evaluating';

/**
 * The hold that covers this start, if any. A crash or an evacuation is a message about one instance and is acted on under every
 * hold but `operator`; only after a `droplet.updated` it waits for the next pass, and while all data is new on what happened before.
 *
 * The slot may have another instance that is presumed lost only because its DEA is silent. Then the start relies on that
 * silence, whatever its reason, so the holds on silence cover it.
 */
export function holdOnStart(snapshot: Snapshot, reason: StartReason, index: number): StartWait | undefined {
  const { holds } = snapshot;
  if (updateRequired(snapshot)) return 'update_required';
  if (operatorHoldOnStart(snapshot, index) !== undefined) return 'operator';
  if (reason === 'missing' && holds.desiredUnavailable) return 'desired_unavailable';
  const silent = silentAt(snapshot, index, reason);
  if (holds.actualNotFresh && (reason === 'missing' || silent.length > 0)) return 'actual_not_fresh';
  if (silent.some((instance) => mayHaveUnstoredHeartbeat(snapshot, instance))) return 'actual_not_fresh';
  if (reason !== 'missing' && mayBeReplaced(snapshot, index)) return 'actual_not_fresh';
  if (silent.some((instance) => isMassLoss(snapshot, instance))) return 'mass_loss';
  if (reason === 'missing' && mayLackLateDeas(snapshot)) return 'mass_loss';
  if (mayLackInstances(snapshot)) return 'evaluating';
  return silent.some((instance) => mayBeMassLoss(snapshot, instance)) ? 'evaluating' : undefined;
}

/**
 * Whether not every DEA may have listed its instances since Redis lost the record. Missing instances have the grace period; an exit
 * that begins the record may be of a slot that another DEA has filled long since; and the first DEA to list an instance may have made
 * it up.
 */
export function mayLackInstances({ droplet: { rebuiltMs }, nowMs, settings }: Snapshot): boolean {
  return rebuiltMs !== undefined && nowMs < rebuiltMs + settings.dropletLostMs;
}

/**
 * Whether the slot may have been filled again before Redis lost all it held: the record was begun since, and not every DEA has listed its
 * instances yet. An exit that was received before that may be stored a second time, by an ingestor that never had the answer to the
 * first. An evacuated instance is listed as EVACUATING until its DEA ends, and then comes a DEA_SHUTDOWN for it.
 */
function mayBeReplaced(snapshot: Snapshot, index: number): boolean {
  if (!isNewData(snapshot)) return false;
  const { exits, instances, firstSeenMs } = snapshot.droplet;
  const isLive = ({ instance }: Exit) =>
    instances.some(({ guid, state }) => guid === instance && isLiveState(state));
  return !exits.some(
    (exit) =>
      exit.index === index && exit.atMs > firstSeenMs && (exit.reason !== 'DEA_SHUTDOWN' || isLive(exit)),
  );
}

/** Whether the record was begun before every DEA had been heard for `droplet_lost`: at the first start, or Redis was emptied. */
function isNewData({ droplet, holds, nowMs, settings }: Snapshot): boolean {
  const { actualNotFresh, listeningGaps, listeningBegunMs = nowMs } = holds;
  if (!actualNotFresh) return false;
  const fromMs = Math.max(droplet.firstSeenMs, listeningBegunMs);
  return listeningTimeMs(fromMs, nowMs, listeningGaps) <= settings.dropletLostMs;
}

/**
 * Whether the record of an older app was begun anew, because Redis had lost it, when the DEAs that `mass_loss` counts were no longer
 * heard: it lacks their instances. An app that its owner has just scaled has a new time, too, so a record that is marked is always of
 * an older one.
 */
function mayLackLateDeas({ droplet, holds, settings }: Snapshot): boolean {
  const { massLossSinceMs, listeningGaps } = holds;
  const { desired, firstSeenMs, rebuiltMs } = droplet;
  if (massLossSinceMs === undefined || desired === undefined) return false;
  const isNewApp =
    rebuiltMs === undefined && desired.updatedAtS * 1000 > firstSeenMs - settings.dropletLostMs;
  if (isNewApp) return false;
  return listeningTimeMs(firstSeenMs, massLossSinceMs, listeningGaps) <= settings.dropletLostMs;
}

/**
 * Instances last listed at the slot as STARTING or RUNNING that have not exited and that their DEA did not drop from its list. For a
 * missing start also those of another version whose DEA has been silent since this one became live: it may have renamed them.
 */
function silentAt(snapshot: Snapshot, index: number, reason: StartReason): Instance[] {
  const { droplet, deas, settings, exits } = snapshot;
  return droplet.instances.filter((instance) => {
    if (instance.index !== index || !isLiveState(instance.state)) return false;
    const isCurrent = instance.version === droplet.desired?.version;
    if (!isCurrent && !(reason === 'missing' && mayBeRenamed(droplet, instance, snapshot))) return false;
    const heartbeatMs = heartbeatOfItsDeaMs(instance, deas, settings);
    if (heartbeatMs === undefined) return false;
    const exit = exits.get(instance.guid);
    return exit === undefined || !isExitInForce(exit, heartbeatMs, settings);
  });
}

/**
 * Whether the instance's DEA seems silent for `droplet_lost`, but may have sent a heartbeat that is not stored. An ingestor may be
 * behind, or stopped for less than a gap; or the heartbeat was lost with a connection or a process.
 */
export function mayHaveUnstoredHeartbeat(
  { deas, holds, lostBeforeMs, settings }: Snapshot,
  instance: Instance,
): boolean {
  const heartbeatMs = heartbeatOfItsDeaMs(instance, deas, settings);
  if (heartbeatMs === undefined || heartbeatMs >= lostBeforeMs) return false;
  return isLossUnconfirmed(heartbeatMs, holds, settings);
}

/** Whether `mass_loss` is on and counts the instance's DEA as late. */
export function isMassLoss({ deas, holds, settings }: Snapshot, instance: Instance): boolean {
  return holds.massLossDeas.has(instance.dea) && heartbeatOfItsDeaMs(instance, deas, settings) !== undefined;
}

/**
 * Whether the instance's DEA is one that `mass_loss` counts as late, or is lost and may be one of many, because:
 *
 * - `mass_loss` was not evaluated since the DEA was lost. Ticks evaluate it and may be late or pause, while events and audits
 *   reconcile droplets all the time. By then every DEA that was cut off together with this one is late, so the next
 *   evaluation counts it.
 * - `mass_loss` has been evaluated for less than a third of `droplet_lost`, so not when the DEA became late. DEAs that were cut
 *   off with it may have reconnected, which leaves too few late ones to raise the hold. The DEA itself may be back next: DEAs
 *   reconnect spread over a heartbeat period. After a gap the evaluation before it counts, see `lossesEvaluatedMs`.
 *
 * An instance that the latest heartbeats left out is lost before its DEA is. Until then it waits for the next heartbeat.
 */
export function mayBeMassLoss(
  { deas, holds, lostBeforeMs, settings }: Snapshot,
  instance: Instance,
): boolean {
  const heartbeatMs = heartbeatOfItsDeaMs(instance, deas, settings);
  if (heartbeatMs === undefined) return false;
  const { massLossDeas, massLossEvaluated: evaluated, listeningGaps: gaps } = holds;
  if (massLossDeas.has(instance.dea)) return true;
  if (heartbeatMs >= lostBeforeMs) return !isListed(instance);
  if (evaluated === undefined) return true;
  const evaluatedMs = lossesEvaluatedMs(evaluated, gaps, settings);
  return (
    evaluatedMs === undefined || listeningTimeMs(heartbeatMs, evaluatedMs, gaps) <= settings.dropletLostMs
  );
}

/** Whether the instance may still run although its DEA seems lost. Decisions that rely on its loss wait. */
export function isSuspect(snapshot: Snapshot, instance: Instance): boolean {
  return mayHaveUnstoredHeartbeat(snapshot, instance) || mayBeMassLoss(snapshot, instance);
}

/** What keeps back the loss of a DEA. */
export type SilenceHolds = Pick<
  Holds,
  | 'massLossDeas'
  | 'massLossSinceMs'
  | 'massLossEvaluated'
  | 'heartbeatWatermarkMs'
  | 'lossPossibleUntilMs'
  | 'listeningGaps'
  | 'operatorHolds'
>;

/**
 * Whether a DEA is lost and nothing may contradict that: it had been silent for longer than `droplet_lost` when `mass_loss` was last
 * evaluated, the hold does not count it, and no heartbeat of it is unstored or may have been dropped.
 */
export function isLossEstablished(
  { dea, lastHeartbeatMs }: { dea: string; lastHeartbeatMs: number },
  holds: SilenceHolds,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): boolean {
  const { massLossDeas, massLossEvaluated: evaluated, listeningGaps: gaps } = holds;
  const evaluatedMs = evaluated && lossesEvaluatedMs(evaluated, gaps, settings);
  if (evaluatedMs === undefined || massLossDeas.has(dea)) return false;
  if (lastHeartbeatMs >= lostBefore(evaluatedMs, gaps, settings)) return false;
  return !isLossUnconfirmed(lastHeartbeatMs, holds, settings);
}

/** Reasons by which an instance is surplus for its version, index or state. */
const BY_IDENTITY: ReadonlySet<StopReason> = new Set(['wrong_version', 'extra_index', 'evacuation_complete']);

/** The hold that covers this stop, if any. */
export function holdOnStop(
  snapshot: Snapshot,
  reason: StopReason,
  instance: Pick<Instance, 'dea'>,
): HoldName | undefined {
  const { holds } = snapshot;
  if (updateRequired(snapshot)) return 'update_required';
  if (operatorHoldOnStop(snapshot, instance) !== undefined) return 'operator';
  if (reason === 'duplicate') return holds.actualNotFresh ? 'actual_not_fresh' : undefined;
  if (holds.desiredUnavailable) return 'desired_unavailable';
  // The first DEA to list the instance may have made up its version or index, and its own was not heard yet.
  if (BY_IDENTITY.has(reason) && isNewData(snapshot)) return 'actual_not_fresh';
  return reason === 'extra_app' && holds.massDelete ? 'mass_delete' : undefined;
}
