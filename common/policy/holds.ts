/** Which hold covers which decision of a droplet. The files beside this one turn the holds on and off. */
import type { Droplet, Holds, Instance } from '../model/droplet.ts';
import { isLiveState } from '../model/instance-states.ts';
import type { HoldName, StartReason, StopReason } from '../model/reasons.ts';
import { isLossUnconfirmed } from './freshness.ts';
import { isExitInForce, lastHeartbeatMs } from './liveness.ts';
import { isEvaluatedLongEnough } from './mass-loss.ts';
import type { Snapshot } from './snapshot.ts';

/** A `droplet.updated` was received, and no pass that began after it has listed the droplet or completed. */
export function updateRequired(droplet: Droplet, holds: Holds): boolean {
  const { updatedMs, listedMs } = droplet;
  if (updatedMs === undefined || (listedMs !== undefined && listedMs > updatedMs)) return false;
  return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= updatedMs;
}

/**
 * The hold that covers this start, if any. A crash or an evacuation is a message about one instance and is acted on under every
 * hold; only after a `droplet.updated` it waits for the next pass.
 *
 * The slot may have another instance that is presumed lost only because its DEA is silent. Then the start relies on that
 * silence, whatever its reason, so the holds on silence cover it.
 */
export function holdOnStart(snapshot: Snapshot, reason: StartReason, index: number): HoldName | undefined {
  const { droplet, holds } = snapshot;
  if (updateRequired(droplet, holds)) return 'update_required';
  if (reason === 'missing' && holds.desiredUnavailable) return 'desired_unavailable';
  const silent = silentAt(snapshot, index);
  if (holds.actualNotFresh && (reason === 'missing' || silent.length > 0)) return 'actual_not_fresh';
  if (silent.some((instance) => mayHaveUnstoredHeartbeat(snapshot, instance))) return 'actual_not_fresh';
  return silent.some((instance) => mayBeMassLoss(snapshot, instance)) ? 'mass_loss' : undefined;
}

/** Instances last listed at the slot as STARTING or RUNNING that have not exited and are in their DEA's latest list. */
function silentAt({ droplet, deas, settings, exits }: Snapshot, index: number): Instance[] {
  return droplet.instances.filter((instance) => {
    if (instance.index !== index || instance.version !== droplet.desired?.version) return false;
    if (!isLiveState(instance.state)) return false;
    if (instance.lastListedMs !== undefined) return false;
    const exit = exits.get(instance.guid);
    return exit === undefined || !isExitInForce(exit, lastHeartbeatMs(instance, deas), settings);
  });
}

/**
 * Whether the instance's DEA seems silent for `droplet_lost`, but may have sent a heartbeat that is not stored. An ingestor may be
 * behind, or stopped for less than a gap; or the heartbeat was lost with a connection or a process.
 */
export function mayHaveUnstoredHeartbeat(
  { deas, holds, nowMs, settings }: Snapshot,
  instance: Instance,
): boolean {
  if (instance.lastListedMs !== undefined) return false;
  const heartbeatMs = lastHeartbeatMs(instance, deas);
  if (nowMs - heartbeatMs <= settings.dropletLostMs) return false;
  return isLossUnconfirmed(heartbeatMs, holds, settings);
}

/**
 * Whether the instance's DEA is one that `mass_loss` counts as late, or is lost and may be one of many, because:
 *
 * - `mass_loss` was not evaluated since the DEA was lost. Ticks evaluate it and may be late or pause, while events and audits
 *   reconcile droplets all the time. By then every DEA that was cut off together with this one is late, so the next
 *   evaluation counts it.
 * - `mass_loss` has been evaluated for less than a third of `droplet_lost`, so not when the DEA became late. DEAs that were cut
 *   off with it may have reconnected, which leaves too few late ones to raise the hold. The DEA itself may be back next: DEAs
 *   reconnect spread over a heartbeat period.
 */
export function mayBeMassLoss({ deas, holds, nowMs, settings }: Snapshot, instance: Instance): boolean {
  if (instance.lastListedMs !== undefined) return false;
  const { massLossDeas, massLossEvaluated: evaluated } = holds;
  if (massLossDeas.has(instance.dea)) return true;
  const { dropletLostMs } = settings;
  const heartbeatMs = lastHeartbeatMs(instance, deas);
  if (nowMs - heartbeatMs <= dropletLostMs) return false;
  if (evaluated === undefined || evaluated.untilMs - heartbeatMs <= dropletLostMs) return true;
  return !isEvaluatedLongEnough(evaluated, settings);
}

/** Whether the instance may still run although its DEA seems lost. Decisions that rely on its loss wait. */
export function isSuspect(snapshot: Snapshot, instance: Instance): boolean {
  return mayHaveUnstoredHeartbeat(snapshot, instance) || mayBeMassLoss(snapshot, instance);
}

/** The hold that covers this stop, if any. */
export function holdOnStop({ droplet, holds }: Snapshot, reason: StopReason): HoldName | undefined {
  if (updateRequired(droplet, holds)) return 'update_required';
  if (reason === 'duplicate') return holds.actualNotFresh ? 'actual_not_fresh' : undefined;
  if (holds.desiredUnavailable) return 'desired_unavailable';
  return reason === 'extra_app' && holds.massDelete ? 'mass_delete' : undefined;
}
