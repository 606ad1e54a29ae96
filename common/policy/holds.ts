/** Which hold forbids which decision for a droplet. (What raises and ends the holds: the files beside this one.) */
import type { Droplet, Holds, Instance } from '../model/droplet.ts';
import type { HoldName, StartReason, StopReason } from '../model/reasons.ts';
import { isLossUnconfirmed } from './freshness.ts';
import { exitStands, lastHeartbeatMs } from './liveness.ts';
import { isEvaluatedLongEnough } from './mass-loss.ts';
import type { Snapshot } from './snapshot.ts';

/** A `droplet.updated` came, and no pass that began after it has listed the droplet or completed. */
export function updateRequired(droplet: Droplet, holds: Holds): boolean {
  const { updatedMs, listedMs } = droplet;
  if (updatedMs === undefined || (listedMs !== undefined && listedMs > updatedMs)) return false;
  return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= updatedMs;
}

/**
 * The hold that forbids this start, if any. A crash or an evacuation is a message about one instance and is acted on
 * under every hold, but waits for the pass after a `droplet.updated`. And where the slot has another instance that nothing
 * but silence speaks against, the start rests on that silence, whatever its reason: then the holds on silence cover it.
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

/** Instances that were last listed at the slot, as STARTING or RUNNING, and have neither exited nor been left out since. */
function silentAt({ droplet, deas, settings, exits }: Snapshot, index: number): Instance[] {
  return droplet.instances.filter((instance) => {
    if (instance.index !== index || instance.version !== droplet.desired?.version) return false;
    if (instance.state !== 'RUNNING' && instance.state !== 'STARTING') return false;
    if (instance.lastListedMs !== undefined) return false;
    const exit = exits.get(instance.guid);
    return exit === undefined || !exitStands(exit, lastHeartbeatMs(instance, deas), settings);
  });
}

/**
 * Whether the instance's DEA has been silent for `droplet_lost`, and perhaps only as an ingestor has not stored its heartbeat
 * yet (it may be a little behind, or stand still for less than a gap), or as it was lost with a connection or a process.
 */
export function mayHaveUnstoredHeartbeat(
  { deas, holds, nowMs, settings }: Snapshot,
  instance: Instance,
): boolean {
  if (instance.lastListedMs !== undefined) return false;
  const heard = lastHeartbeatMs(instance, deas);
  if (nowMs - heard <= settings.dropletLostMs) return false;
  return isLossUnconfirmed(heard, holds, settings);
}

/**
 * Whether the instance's DEA is one of those that `mass_loss` counts as late, or is lost and may be one of many:
 *
 * - The hold was not evaluated since. Ticks judge it, and may stand still for a while or be a second behind, while events and
 *   audits look at droplets all the same. When a DEA is lost all those that were cut off with it are late.
 * - The hold has not been evaluated for a third of `droplet_lost` yet, so nobody evaluated it when the DEA became late. Those that
 *   were cut off with it may be back by now, too few be late to raise the hold, and it be back next, as spread as they went.
 */
export function mayBeMassLoss({ deas, holds, nowMs, settings }: Snapshot, instance: Instance): boolean {
  if (instance.lastListedMs !== undefined) return false;
  const { massLossDeas, massLossEvaluated: evaluated } = holds;
  if (massLossDeas.has(instance.dea)) return true;
  const { dropletLostMs } = settings;
  const heard = lastHeartbeatMs(instance, deas);
  if (nowMs - heard <= dropletLostMs) return false;
  if (evaluated === undefined || evaluated.untilMs - heard <= dropletLostMs) return true;
  return !isEvaluatedLongEnough(evaluated, settings);
}

/** Whether the instance may be there, although its DEA is silent: what rests on its being lost waits. */
export function isSuspect(snapshot: Snapshot, instance: Instance): boolean {
  return mayHaveUnstoredHeartbeat(snapshot, instance) || mayBeMassLoss(snapshot, instance);
}

/** The hold that forbids this stop, if any. */
export function holdOnStop({ droplet, holds }: Snapshot, reason: StopReason): HoldName | undefined {
  if (updateRequired(droplet, holds)) return 'update_required';
  if (reason === 'duplicate') return holds.actualNotFresh ? 'actual_not_fresh' : undefined;
  if (holds.desiredUnavailable) return 'desired_unavailable';
  return reason === 'extra_app' && holds.massDelete ? 'mass_delete' : undefined;
}
