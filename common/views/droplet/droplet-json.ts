/**
 * The whole record of a droplet as the public API shows it. Times are epoch milliseconds and named `...Ms`, except those that are of a
 * message or of the bulk API and keep its name and unit (epoch seconds): `state_timestamp`, `crash_timestamp` and `updated_at`.
 */

import type { ObservedDroplet } from '../../explain/observed-droplet.ts';
import type { Exit, Instance, PendingStop, Slot } from '../../model/droplet.ts';
import { isLiveState } from '../../model/instance-states.ts';
import { type EffectiveState, lastHeartbeatMs } from '../../policy/fleet/liveness.ts';
import { isUnplaced } from '../../policy/slots/attempts.ts';
import { type Crash, crashesOf } from '../../policy/slots/crashes.ts';
import { isGivenUp } from '../../policy/slots/flapping.ts';
import { wantedIndices } from '../../policy/slots/wanted.ts';
import { effectiveStatesOf } from './droplet-answers.ts';

/**
 * Ids are keys of these objects and may be `__proto__`. `Object.fromEntries` creates an ordinary key for it; an
 * assignment would not.
 */
export function dropletJson(view: ObservedDroplet): Record<string, unknown> {
  const { droplet, deas, nowMs, settings } = view;
  const { id, firstSeenMs, updatedMs, goneMs, desired } = droplet;
  const effectiveStates = effectiveStatesOf(view);
  const slots = sorted([...droplet.slots.values()]);
  return {
    droplet: id,
    firstSeenMs,
    ...(updatedMs === undefined ? {} : { updatedMs }),
    desired:
      desired === undefined
        ? null
        : {
            state: desired.state,
            package_state: desired.packageState,
            instances: desired.instances,
            version: desired.version,
            memory: desired.memoryMb,
            updated_at: desired.updatedAtS,
          },
    ...(goneMs === undefined ? {} : { notDesiredSinceMs: goneMs }),
    missing_indices: missingIndices(view, effectiveStates),
    versions: versionsOf(view, effectiveStates),
    crashes: Object.fromEntries(
      crashesOf(droplet, deas, nowMs, settings).map((crash) => [crash.instance, crashJson(crash)]),
    ),
    exits: Object.fromEntries(droplet.exits.map((exit) => [exit.instance, exitJson(exit)])),
    slots: Object.fromEntries(slots.map((slot) => [String(slot.index), slotJson(view, slot)])),
    pending_starts: startsOf(view, slots, (reason) => reason !== 'flapping'),
    pending_restarts: startsOf(view, slots, (reason) => reason === 'flapping'),
    pending_stops: Object.fromEntries(
      [...droplet.stops.values()]
        .filter(({ held }) => held === undefined)
        .map((stop) => [stop.instance, stopJson(view, stop)]),
    ),
    held_stops: Object.fromEntries(
      [...droplet.stops.values()]
        .filter(({ held }) => held !== undefined)
        .map(({ instance, reason, held }) => [instance, { reason, hold: held }]),
    ),
  };
}

function missingIndices(
  { droplet }: ObservedDroplet,
  effectiveStates: ReadonlyMap<Instance, EffectiveState>,
): number[] {
  const wanted = wantedIndices(droplet);
  const live = new Set<number>();
  for (const [{ index, version }, effective] of effectiveStates) {
    if (version === droplet.desired?.version && isLiveState(effective)) live.add(index);
  }
  return Array.from({ length: wanted }, (_, index) => index).filter((index) => !live.has(index));
}

function versionsOf(
  view: ObservedDroplet,
  effectiveStates: ReadonlyMap<Instance, EffectiveState>,
): Record<string, unknown> {
  const versions = new Map<string, [string, unknown][]>();
  for (const [instance, effective] of effectiveStates) {
    const entry: [string, unknown] = [instance.guid, instanceJson(view, instance, effective)];
    const known = versions.get(instance.version);
    if (known === undefined) versions.set(instance.version, [entry]);
    else known.push(entry);
  }
  return Object.fromEntries(
    Array.from(versions, ([version, instances]) => [version, { instances: Object.fromEntries(instances) }]),
  );
}

function instanceJson(
  { deas }: ObservedDroplet,
  instance: Instance,
  effective: EffectiveState,
): Record<string, unknown> {
  const { index, state, stateTimestampS, dea, firstListedMs } = instance;
  return {
    index,
    state,
    state_timestamp: stateTimestampS,
    dea,
    firstListedMs,
    lastListedMs: lastHeartbeatMs(instance, deas),
    live: isLiveState(effective),
  };
}

function crashJson({ index, version, sinceS, status, description }: Crash): Record<string, unknown> {
  return {
    ...{ index, version, crash_timestamp: sinceS },
    ...(status === undefined ? {} : { exit_status: status }),
    ...(description === undefined ? {} : { exit_description: description }),
  };
}

function exitJson(exit: Exit): Record<string, unknown> {
  const { index, version, reason, atMs, crashTimestampS, status, description } = exit;
  return {
    index,
    version,
    reason,
    receivedMs: atMs,
    ...(crashTimestampS === undefined ? {} : { crash_timestamp: crashTimestampS }),
    ...(status === undefined ? {} : { exit_status: status }),
    ...(description === undefined ? {} : { exit_description: description }),
  };
}

function slotJson({ nowMs, settings }: ObservedDroplet, slot: Slot): Record<string, unknown> {
  const { version, crashes, flapping, lastCrashMs, held, attempts, retryMs } = slot;
  return {
    version,
    crashes,
    flapping,
    given_up: isGivenUp(slot, nowMs, settings),
    ...(lastCrashMs === undefined ? {} : { lastCrashMs }),
    ...(attempts === undefined ? {} : { starts_without_effect: attempts, unplaced: isUnplaced(slot) }),
    ...(retryMs === undefined ? {} : { nextTryMs: retryMs }),
    ...(held === undefined ? {} : { hold: held }),
  };
}

function startsOf(
  { droplet }: ObservedDroplet,
  slots: readonly Slot[],
  which: (reason: string) => boolean,
): unknown[] {
  return slots.flatMap(({ index, version, start }) => {
    if (start === undefined || !which(start.reason)) return [];
    const { reason, priority, decidedMs, dueMs } = start;
    const outcome = droplet.outcomes.get(start.id);
    return [
      {
        index,
        version,
        reason,
        priority,
        decidedMs,
        ...(dueMs === undefined ? {} : { dueMs }),
        ...(outcome?.outcome === 'sent' ? { sentMs: outcome.atMs } : {}),
      },
    ];
  });
}

function stopJson(
  { droplet }: ObservedDroplet,
  { id, reason, decidedMs }: PendingStop,
): Record<string, unknown> {
  const outcome = droplet.outcomes.get(id);
  const sent = outcome?.outcome === 'sent' ? { sentMs: outcome.atMs } : {};
  return { reason, decidedMs, ...sent };
}

function sorted(slots: Slot[]): Slot[] {
  return slots.sort((a, b) => a.index - b.index);
}
