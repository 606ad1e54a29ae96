/**
 * Log entries for what a reconcile observed besides its decisions. The record forgets it; the decision log keeps it. A
 * healthy droplet that was healthy before yields none.
 */
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { Droplet, Instance, Slot } from '../../../common/model/droplet.ts';
import { isLiveState } from '../../../common/model/instance-states.ts';
import { effectiveState, exitsByInstance } from '../../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { Evaluation } from '../evaluation.ts';

/** Pure: entries for a processed update, for processed exits, and for slots that have a live instance again. */
export function observedEntries(evaluation: Evaluation, settings: PolicySettings): LogEntry[] {
  return [...updateEntries(evaluation), ...exitEntries(evaluation), ...upEntries(evaluation, settings)];
}

function updateEntries({ droplet, decided }: Evaluation): LogEntry[] {
  const atMs = decided.handledUpdateMs;
  if (atMs === undefined || atMs === droplet.handledUpdateMs) return [];
  return [{ atMs, droplet: droplet.id, kind: 'updated' }];
}

function exitEntries({ droplet, decided }: Evaluation): LogEntry[] {
  if (decided.handledExits === droplet.handledExits) return [];
  return droplet.exits
    .filter(({ n }) => n > droplet.handledExits && n <= decided.handledExits)
    .sort((a, b) => a.n - b.n)
    .map(({ instance, index, version, reason, atMs, status, description }) => {
      const dea = droplet.instances.find(({ guid }) => guid === instance)?.dea;
      const slot = decided.slots.get(index);
      // The slot keeps only its last count, so of several crashes in one reconcile only the last is given it.
      const isLastCrash = reason === 'CRASHED' && slot?.version === version && slot.lastCrashMs === atMs;
      return {
        atMs,
        droplet: droplet.id,
        kind: 'exit',
        exit: reason,
        ...(status === undefined ? {} : { exitStatus: status }),
        ...(description === undefined ? {} : { exitDescription: description }),
        index,
        version,
        instance,
        ...(dea === undefined ? {} : { dea }),
        ...(isLastCrash ? { crashes: slot.crashes } : {}),
      };
    });
}

/** Slots that needed an instance, need none any more, and have a live one. */
function upEntries(evaluation: Evaluation, settings: PolicySettings): LogEntry[] {
  const { droplet, decided, nowMs } = evaluation;
  const entries: LogEntry[] = [];
  for (const before of droplet.slots.values()) {
    const after = decided.slots.get(before.index);
    if (!needsInstance(before) || (after !== undefined && needsInstance(after))) continue;
    const instance = liveAt(evaluation, before, settings);
    if (instance === undefined) continue;
    const sinceMs = before.start?.decidedMs ?? before.lastCrashMs ?? nowMs - settings.dropletLostMs;
    const again = instance.firstListedMs <= sinceMs;
    entries.push({
      atMs: again ? nowMs : instance.firstListedMs,
      droplet: droplet.id,
      kind: 'up',
      index: before.index,
      version: before.version,
      instance: instance.guid,
      dea: instance.dea,
      state: instance.state,
      ...(again ? { again } : {}),
    });
  }
  return entries;
}

function needsInstance({ start, flapping, held, attempts }: Slot): boolean {
  return start !== undefined || flapping || held !== undefined || attempts !== undefined;
}

/** The live instance of a slot. Of several: RUNNING before STARTING, then the youngest. */
function liveAt(
  { droplet, deas, lostBeforeMs }: Evaluation,
  slot: Slot,
  settings: PolicySettings,
): Instance | undefined {
  const exits = exitsByInstance(droplet.exits);
  const rank = (instance: Instance) => (instance.state === 'RUNNING' ? 1 : 0);
  return instancesOf(droplet, slot)
    .filter((instance) => {
      return isLiveState(effectiveState(instance, exits.get(instance.guid), deas, lostBeforeMs, settings));
    })
    .sort((a, b) => rank(b) - rank(a) || b.firstListedMs - a.firstListedMs)[0];
}

function instancesOf({ instances }: Droplet, { index, version }: Slot): Instance[] {
  return instances.filter((instance) => instance.index === index && instance.version === version);
}
