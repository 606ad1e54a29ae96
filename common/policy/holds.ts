/** Which hold forbids which decision for a droplet. (What raises and ends the holds: the files beside this one.) */
import type { Droplet, HoldName, Holds, Instance, StartReason, StopReason } from '../droplet.ts';
import { exitStands, heardMs } from './liveness.ts';
import type { Sight } from './sight.ts';

/** A `droplet.updated` came, and no pass that began after it has listed the droplet or completed. */
export function updateRequired(droplet: Droplet, holds: Holds): boolean {
  const { updatedMs, listedMs } = droplet;
  if (updatedMs === undefined || (listedMs !== undefined && listedMs > updatedMs)) return false;
  return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= updatedMs;
}

/**
 * The hold that forbids this start, if any. A crash or an evacuation is a message about one instance and is acted
 * on under every hold, but waits for the pass after a `droplet.updated`.
 */
export function holdOnStart(sight: Sight, reason: StartReason, index: number): HoldName | undefined {
  const { droplet, holds } = sight;
  if (updateRequired(droplet, holds)) return 'update_required';
  if (reason !== 'missing') return undefined;
  if (holds.desiredUnavailable) return 'desired_unavailable';
  if (holds.actualNotFresh) return 'actual_not_fresh';
  return wasOnLateDea(sight, index) ? 'mass_loss' : undefined;
}

/**
 * Whether the instance's DEA is one of those that `mass_loss` counts as late, or is lost and may be: the hold was last
 * judged before that. Ticks judge it and may stand still for a while, or be behind by a second, while events and audits
 * look at droplets all the same. At `droplet_lost` after its last heartbeat all DEAs that were cut off with it are late.
 */
export function mayBeMassLoss({ deas, holds, now, settings }: Sight, instance: Instance): boolean {
  if (instance.lastListedMs !== undefined) return false;
  if (holds.massLossDeas.has(instance.dea)) return true;
  const lostMs = heardMs(instance, deas) + settings.dropletLostMs;
  return now > lostMs && (holds.massLossJudgedMs === undefined || holds.massLossJudgedMs <= lostMs);
}

/** Whether such a DEA last listed an instance of the slot as STARTING or RUNNING that has not exited. */
function wasOnLateDea(sight: Sight, index: number): boolean {
  const { droplet, deas, settings, exits } = sight;
  return droplet.instances.some((instance) => {
    if (instance.index !== index || instance.version !== droplet.desired?.version) return false;
    if (instance.state !== 'RUNNING' && instance.state !== 'STARTING') return false;
    if (!mayBeMassLoss(sight, instance)) return false;
    const exit = exits.get(instance.guid);
    return exit === undefined || !exitStands(exit, heardMs(instance, deas), settings);
  });
}

/** The hold that forbids this stop, if any. */
export function holdOnStop({ droplet, holds }: Sight, reason: StopReason): HoldName | undefined {
  if (updateRequired(droplet, holds)) return 'update_required';
  if (reason === 'duplicate') return holds.actualNotFresh ? 'actual_not_fresh' : undefined;
  if (holds.desiredUnavailable) return 'desired_unavailable';
  return reason === 'extra_app' && holds.massDelete ? 'mass_delete' : undefined;
}
