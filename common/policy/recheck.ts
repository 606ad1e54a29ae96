/**
 * The recheck: whether a decided start or stop is still right just before it is sent, and the message to send. Built from the
 * same functions as the decision.
 */
import type { StartMessage, StopMessage } from '../messages/outgoing.ts';
import type { Droplet, Holds } from '../model/droplet.ts';
import type { DropReason, StartReason, StopReason } from '../model/reasons.ts';
import { acceptsStart, acceptsStop } from './admission.ts';
import { isGivenUp } from './flapping.ts';
import { holdOnStart, holdOnStop } from './holds.ts';
import { type Deas, isListed } from './liveness.ts';
import { countRunning, runningForStart, runningForStop } from './running-counts.ts';
import type { PolicySettings } from './settings.ts';
import { takeSnapshot } from './snapshot.ts';
import { isOtherVersionStopping, pendingStops, surplus } from './surplus.ts';
import { graceEndsMs, isDesired, isWanted, isWantedIgnoringMassDelete } from './wanted.ts';

/** Result of a recheck. `reason` may differ from the decision's: an evacuation raises a waiting start. */
export type StartCheck =
  | { send: StartMessage; reason: StartReason }
  | { drop: DropReason }
  /** Not yet: recheck at this time (epoch ms). */
  | { wait: number };
export type StopCheck = { send: StopMessage; reason: StopReason } | { drop: DropReason };

/** Recheck period of a start after a crash or an evacuation that waits for the pass after a `droplet.updated`. */
const UPDATE_POLL_MS = 1000;

/** @param droplet undefined if its record was removed */
export function checkStart(
  droplet: Droplet | undefined,
  job: { id: string; index: number; version: string },
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): StartCheck {
  const slot = droplet?.slots.get(job.index);
  if (droplet === undefined || slot?.start?.id !== job.id) return { drop: 'superseded' };
  if (droplet.outcomes.has(job.id)) return { drop: 'done' };
  const { start } = slot;
  const { desired } = droplet;
  const wanted =
    start.reason === 'missing'
      ? isWanted(droplet, job.index)
      : isWantedIgnoringMassDelete(droplet, job.index, holds);
  if (desired === undefined || !wanted) return { drop: 'not_wanted' };
  if (desired.version !== job.version || slot.version !== job.version) return { drop: 'not_wanted' };
  const snapshot = takeSnapshot(droplet, deas, holds, nowMs, settings);
  if (snapshot.live.has(job.index)) return { drop: 'live' };

  const updated = droplet.updatedMs !== droplet.handledUpdateMs;
  if (updated && start.reason === 'flapping') return { drop: 'updated' };
  if (!updated && isGivenUp(slot, nowMs, settings)) return { drop: 'given_up' };
  if (start.dueMs !== undefined && nowMs < start.dueMs) return { wait: start.dueMs };
  const hold = holdOnStart(snapshot, start.reason, job.index);
  if (hold !== undefined) {
    const waits = hold === 'update_required' && start.reason !== 'missing';
    return waits ? { wait: nowMs + UPDATE_POLL_MS } : { drop: `held:${hold}` };
  }
  if (start.reason === 'missing' && nowMs < graceEndsMs(droplet, job.index, settings)) {
    return { drop: 'in_grace_period' };
  }
  const running = runningForStart(snapshot);
  if (!acceptsStart(droplet, job.version, job.index, running)) return { drop: 'refused' };
  const send: StartMessage = {
    droplet: droplet.id,
    updatedAtS: desired.updatedAtS,
    version: job.version,
    index: job.index,
    running,
    flapping: start.reason === 'flapping',
  };
  return { send, reason: start.reason };
}

/** @param droplet undefined if its record was removed */
export function checkStop(
  droplet: Droplet | undefined,
  job: { id: string; instance: string },
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): StopCheck {
  const stop = droplet?.stops.get(job.instance);
  if (droplet === undefined || stop?.id !== job.id || stop.held !== undefined) return { drop: 'superseded' };
  if (droplet.outcomes.has(job.id)) return { drop: 'done' };
  const snapshot = takeSnapshot(droplet, deas, holds, nowMs, settings);
  const found = [...snapshot.effectiveStates.keys()].find(({ guid }) => guid === job.instance);
  if (found === undefined || !isListed(found)) return { drop: 'gone' };
  const pending = pendingStops(snapshot, job.instance);
  const surplusOne = surplus(snapshot, pending).find(({ instance }) => instance === found);
  if (surplusOne === undefined) return { drop: 'not_surplus' };
  const { instance, reason } = surplusOne;
  const hold = holdOnStop(snapshot, reason);
  if (hold !== undefined) return { drop: `held:${hold}` };
  const staysRunning = countRunning(snapshot, new Set([...pending, instance.guid]));
  if (!acceptsStop(droplet, instance, staysRunning, isOtherVersionStopping(snapshot, pending)))
    return { drop: 'refused' };
  const desired = isDesired(droplet) ? droplet.desired : undefined;
  // Of a STOPPED app a controller refuses every version but the live one; it finds the instance by its guid.
  const version = desired?.state === 'STOPPED' ? desired.version : instance.version;
  const send: StopMessage = {
    droplet: droplet.id,
    updatedAtS: desired?.updatedAtS,
    instances: [[instance.guid, version]],
    running: runningForStop(snapshot, instance, version),
    version: desired?.version,
  };
  return { send, reason };
}
