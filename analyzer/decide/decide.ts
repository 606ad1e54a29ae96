/**
 * The decision about one droplet: a pure function of its record, the liveness of its DEAs, the holds, the time and
 * the settings. Two rules stand over it: never hurt what is healthy; start all that is missing and stop all that is
 * surplus, in bounded time.
 */
import type { Droplet, Holds } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { takeSnapshot } from '../../common/policy/snapshot.ts';
import type { DecisionResult } from './decision.ts';
import { DecisionDraft } from './decision-draft.ts';
import { processEvents } from './exits.ts';
import { exitsToForget, instancesToForget, isToBeRemoved, outcomesToForget } from './forget.ts';
import { decideStarts } from './starts.ts';
import { decideStops } from './stops.ts';

export type { Decision, DecisionResult } from './decision.ts';

/**
 * What is to be done about a droplet, and when to look again.
 *
 * @param deas at least the DEAs that the droplet's instances name, as far as they are known
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
    ? nothing(droplet)
    : decideInFull(droplet, deas, holds, nowMs, settings);
}

/** The answer for a droplet as it should be, about which nothing is remembered. One for all: most are. */
const NOTHING: DecisionResult = Object.freeze({
  decisions: [],
  slots: new Map(),
  stops: new Map(),
  handledExits: 0,
  handledUpdateMs: undefined,
  outcomesToForget: [],
  instancesToForget: [],
  exitsToForget: [],
  verifyJobs: [],
  remove: false,
  changed: false,
});

function nothing({ handledExits, handledUpdateMs }: Droplet): DecisionResult {
  if (handledExits === 0 && handledUpdateMs === undefined) return NOTHING;
  return { ...NOTHING, handledExits, handledUpdateMs };
}

/** Indices that fit the bits of a small integer. */
const MOST_BITS = 31;

/**
 * The usual case, told quickly: exactly the wanted instances are live, on DEAs that are heard regularly, and nothing
 * happened that is remembered. May say no to a healthy droplet, never yes to another.
 */
function isHealthy(droplet: Droplet, deas: Deas, nowMs: number, settings: PolicySettings): boolean {
  const { desired, instances } = droplet;
  if (desired === undefined || droplet.goneMs !== undefined) return false;
  if (droplet.slots.size !== 0 || droplet.stops.size !== 0 || droplet.outcomes.size !== 0) return false;
  if (droplet.exits.length !== 0 || droplet.updatedMs !== droplet.handledUpdateMs) return false;
  if (desired.state === 'STOPPED') return instances.length === 0;
  if (desired.packageState !== 'STAGED') return false;
  const wanted = desired.instances;
  if (instances.length !== wanted || wanted > MOST_BITS) return false;
  let seen = 0;
  for (let i = 0; i < wanted; i++) {
    const instance = instances[i];
    if (instance === undefined || instance.lastListedMs !== undefined) return false;
    if (instance.state !== 'RUNNING' && instance.state !== 'STARTING') return false;
    if (instance.index >= wanted || instance.version !== desired.version) return false;
    const dea = deas.get(instance.dea);
    if (dea === undefined || nowMs - dea.lastHeartbeatMs > settings.dropletLostMs / 2) return false;
    seen |= 1 << instance.index;
  }
  return seen === (2 ** wanted - 1) >> 0;
}

function decideInFull(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): DecisionResult {
  const draft = new DecisionDraft(takeSnapshot(droplet, deas, holds, nowMs, settings));
  const events = processEvents(draft);
  decideStarts(draft, events);
  const stops = decideStops(draft);
  const { slots, changed: slotsChanged } = draft.slots.result();
  const forgottenExits = exitsToForget(draft, events.handledExits);
  const forgottenInstances = instancesToForget(draft, forgottenExits);
  const decided = {
    decisions: draft.decisions,
    slots,
    stops,
    handledExits: events.handledExits,
    handledUpdateMs: droplet.updatedMs,
    outcomesToForget: outcomesToForget(draft, slots, stops),
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
    decided.decisions.length > 0;
  const tidies =
    decided.outcomesToForget.length > 0 ||
    decided.instancesToForget.length > 0 ||
    decided.exitsToForget.length > 0 ||
    decided.remove;
  const toStore = { changed: acts || tidies, ...(tidies && !acts && { tidies }) };
  const { requeueAtMs, requeueOnceEnqueuedMs, lossMs } = draft;
  if (requeueAtMs === undefined || requeueOnceEnqueuedMs === undefined) return { ...decided, ...toStore };
  return {
    ...decided,
    ...toStore,
    requeueAtMs,
    ...(requeueOnceEnqueuedMs > requeueAtMs && { requeueOnceEnqueuedMs }),
    ...(lossMs !== undefined && { lossMs }),
  };
}
