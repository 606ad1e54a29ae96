/**
 * The decision about one droplet: a pure function of its record, the liveness of its DEAs, the holds, the time and
 * the settings. Two rules come before all others. Never hurt what is healthy. Start all that is missing and stop all
 * that is surplus, in bounded time.
 */
import type { Droplet, Holds } from '../../common/model/droplet.ts';
import { isLiveState } from '../../common/model/instance-states.ts';
import type { Deas } from '../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { needsFullPass } from '../../common/policy/slots/surplus.ts';
import { undesiredSinceMs } from '../../common/policy/slots/wanted.ts';
import { takeSnapshot } from '../../common/policy/snapshot.ts';
import { heartbeatPollMs, overdueAfterMs } from '../../common/policy/thresholds.ts';
import type { DecisionResult } from './decision.ts';
import { DecisionDraft } from './decision-draft.ts';
import { processEvents } from './exits.ts';
import { exitsToForget, instancesToForget, isToBeRemoved, outcomesToForget } from './forget.ts';
import { decideStarts } from './starts/starts.ts';
import { decideStops } from './stops/stops.ts';

export type { Decision, DecisionResult } from './decision.ts';

/**
 * Decides what to do about a droplet, and when to reconcile it again.
 *
 * @param deas at least the known DEAs among those that the droplet's instances name
 * @param nowMs epoch ms on Redis's clock
 */
export function decide(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): DecisionResult {
  return isHealthy(droplet, deas, nowMs, settings)
    ? noChange(droplet)
    : decideInFull(droplet, deas, holds, nowMs, settings);
}

/** The result for a healthy droplet without analyzer state. It is shared, because most droplets are healthy. */
const NO_CHANGE: DecisionResult = Object.freeze({
  decisions: [],
  slots: new Map(),
  stops: new Map(),
  handledExits: 0,
  handledUpdateMs: undefined,
  undesiredMs: undefined,
  outcomesToForget: [],
  retriesToForget: [],
  instancesToForget: [],
  exitsToForget: [],
  verifyJobs: [],
  remove: false,
  changed: false,
});

function noChange({ handledExits, handledUpdateMs }: Droplet): DecisionResult {
  if (handledExits === 0 && handledUpdateMs === undefined) return NO_CHANGE;
  return { ...NO_CHANGE, handledExits, handledUpdateMs };
}

/** The bitwise operators work on 32-bit integers, so a set of indices below this fits into one number. */
const MAX_BITMASK_INDICES = 31;

/**
 * A quick check for the usual case: exactly the wanted instances are live, their DEAs send heartbeats regularly, and
 * the record has no exits, pending starts or stops. It may miss a healthy droplet, but never accepts another one.
 */
function isHealthy(droplet: Droplet, deas: Deas, nowMs: number, settings: PolicySettings): boolean {
  const { desired, instances } = droplet;
  if (desired === undefined || droplet.goneMs !== undefined) return false;
  if (droplet.slots.size !== 0 || droplet.stops.size !== 0 || droplet.outcomes.size !== 0) return false;
  if (droplet.retries !== undefined || droplet.undesiredMs !== undefined) return false;
  if (droplet.exits.length !== 0 || droplet.updatedMs !== droplet.handledUpdateMs) return false;
  if (desired.state === 'STOPPED') return instances.length === 0;
  if (desired.packageState !== 'STAGED') return false;
  const wanted = desired.instances;
  if (instances.length !== wanted || wanted > MAX_BITMASK_INDICES) return false;
  let liveIndices = 0;
  for (let i = 0; i < wanted; i++) {
    const instance = instances[i];
    if (instance === undefined || instance.lastListedMs !== undefined) return false;
    if (!isLiveState(instance.state)) return false;
    if (instance.index >= wanted || instance.version !== desired.version) return false;
    const dea = deas.get(instance.dea);
    if (dea === undefined || nowMs - dea.lastHeartbeatMs > overdueAfterMs(settings)) return false;
    liveIndices |= 1 << instance.index;
  }
  return liveIndices === (2 ** wanted - 1) >> 0;
}

function decideInFull(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): DecisionResult {
  const snapshot = takeSnapshot(droplet, deas, holds, nowMs, settings);
  const draft = new DecisionDraft(snapshot);
  requeueForVersion(draft);
  const triggers = processEvents(draft);
  decideStarts(draft, triggers);
  const stops = decideStops(draft);
  const { slots, changed: slotsChanged } = draft.slots.result();
  const forgottenExits = exitsToForget(draft, triggers.handledExits);
  const forgottenInstances = instancesToForget(draft, forgottenExits);
  const decided = {
    decisions: draft.decisions,
    slots,
    stops,
    handledExits: triggers.handledExits,
    handledUpdateMs: droplet.updatedMs,
    undesiredMs: undesiredSinceMs(droplet, holds, nowMs),
    outcomesToForget: outcomesToForget(draft, slots, stops),
    retriesToForget: [...(droplet.retries?.keys() ?? [])],
    instancesToForget: forgottenInstances,
    exitsToForget: forgottenExits,
    verifyJobs: draft.verifyJobs,
    remove: isToBeRemoved(draft, forgottenInstances),
  };
  const acts =
    slotsChanged ||
    stops !== droplet.stops ||
    decided.handledExits !== droplet.handledExits ||
    decided.handledUpdateMs !== droplet.handledUpdateMs ||
    decided.undesiredMs !== droplet.undesiredMs ||
    decided.retriesToForget.length > 0 ||
    decided.decisions.length > 0;
  const cleansUp =
    decided.outcomesToForget.length > 0 ||
    decided.instancesToForget.length > 0 ||
    decided.exitsToForget.length > 0 ||
    decided.remove;
  const toStore = { changed: acts || cleansUp, ...(cleansUp && !acts && { isCleanUpOnly: true as const }) };
  const { requeueAtMs, requeueOnceEnqueuedMs, lossMs } = draft;
  const { unknownVersionSinceMs } = snapshot;
  if (requeueAtMs === undefined || requeueOnceEnqueuedMs === undefined) return { ...decided, ...toStore };
  return {
    ...decided,
    ...toStore,
    requeueAtMs,
    ...(requeueOnceEnqueuedMs > requeueAtMs && { requeueOnceEnqueuedMs }),
    ...(lossMs !== undefined && { lossMs }),
    ...(unknownVersionSinceMs !== undefined && { passNeededSinceMs: unknownVersionSinceMs }),
    ...(needsFullPass(snapshot) && { isFullPassNeeded: true as const }),
  };
}

/** No event announces that a DEA sent a heartbeat that equals its last one, or that a pass without changes completed. */
function requeueForVersion(draft: DecisionDraft): void {
  const { unknownVersionSinceMs, versionGraceEndsMs, nowMs, settings } = draft.snapshot;
  if (unknownVersionSinceMs !== undefined) draft.requeueSoon('update_required');
  if (versionGraceEndsMs > nowMs) draft.requeueAt(nowMs + Math.min(5000, heartbeatPollMs(settings)));
}
