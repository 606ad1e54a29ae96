/**
 * The second look: whether a decided start or stop is still right at the moment it leaves, and the message to send.
 * Built from the same functions as the decision.
 */

import type { StartMessage, StopMessage } from '../messages/outgoing.ts';
import type { Droplet, Holds } from '../model/droplet.ts';
import type { DropReason, StartReason, StopReason } from '../model/reasons.ts';
import { acceptsStart, acceptsStop } from './admission.ts';
import { isGivenUp } from './flapping.ts';
import { holdOnStart, holdOnStop } from './holds.ts';
import type { Deas } from './liveness.ts';
import { countRunning, runningForStart, runningForStop } from './running-counts.ts';
import type { PolicySettings } from './settings.ts';
import { takeSnapshot } from './snapshot.ts';
import { doOthersLeave, pendingStops, surplus } from './surplus.ts';
import { graceEndsMs, isDesired, isWanted, isWantedIgnoringMassDelete } from './wanted.ts';

export type { StartMessage, StopMessage } from '../messages/outgoing.ts';

/** What a second look finds. `reason` may be another than at the decision: an evacuation lifts a waiting start. */
export type StartCheck =
  | { send: StartMessage; reason: StartReason }
  | { drop: DropReason }
  /** Not yet: look again at this time (epoch ms). */
  | { wait: number };
export type StopCheck = { send: StopMessage; reason: StopReason } | { drop: DropReason };

/** A crash or an evacuation that must wait for the pass after a `droplet.updated` is looked at again after this. */
const UPDATE_WAIT_MS = 1000;

/** @param droplet undefined: there is no such record any more */
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
    const passes = hold === 'update_required' && start.reason !== 'missing';
    return passes ? { wait: nowMs + UPDATE_WAIT_MS } : { drop: `held:${hold}` };
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

/** @param droplet undefined: there is no such record any more */
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
  if (![...snapshot.effectiveStates.keys()].some(({ guid }) => guid === job.instance))
    return { drop: 'gone' };
  const others = pendingStops(snapshot, job.instance);
  const found = surplus(snapshot, others).find(({ instance }) => instance.guid === job.instance);
  if (found === undefined) return { drop: 'not_surplus' };
  const { instance, reason } = found;
  const hold = holdOnStop(snapshot, reason);
  if (hold !== undefined) return { drop: `held:${hold}` };
  const staysRunning = countRunning(snapshot, new Set([...others, instance.guid]));
  if (!acceptsStop(droplet, instance, staysRunning, doOthersLeave(snapshot, others)))
    return { drop: 'refused' };
  const desired = isDesired(droplet) ? droplet.desired : undefined;
  const send: StopMessage = {
    droplet: droplet.id,
    updatedAtS: desired?.updatedAtS,
    instances: [[instance.guid, instance.version]],
    running: runningForStop(snapshot, [instance]),
    version: desired?.version,
  };
  return { send, reason };
}
