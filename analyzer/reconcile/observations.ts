/**
 * What a look takes note of besides its decisions: the record forgets it, the log keeps it. Nothing of it comes
 * from a droplet that is as it should be and was so before.
 */
import type { LogEntry } from '../../common/model/decision-log.ts';
import type { Droplet, Instance, Slot } from '../../common/model/droplet.ts';
import { effectiveState, exitsByInstance } from '../../common/policy/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Evaluation } from './evaluation.ts';

/** Pure: entries for an update and exits that were taken into account, and for slots that run again. */
export function observedEntries(looked: Evaluation, policy: PolicySettings): LogEntry[] {
  return [...updateOf(looked), ...exitsOf(looked), ...upsOf(looked, policy)];
}

function updateOf({ droplet, decided }: Evaluation): LogEntry[] {
  const atMs = decided.handledUpdateMs;
  if (atMs === undefined || atMs === droplet.handledUpdateMs) return [];
  return [{ atMs, droplet: droplet.id, kind: 'updated' }];
}

function exitsOf({ droplet, decided }: Evaluation): LogEntry[] {
  if (decided.handledExits === droplet.handledExits) return [];
  return droplet.exits
    .filter(({ n }) => n > droplet.handledExits && n <= decided.handledExits)
    .sort((a, b) => a.n - b.n)
    .map(({ instance, index, version, reason, atMs }) => {
      const dea = droplet.instances.find(({ guid }) => guid === instance)?.dea;
      const slot = decided.slots.get(index);
      // Of several crashes in one look only the last is surely the one that the count ends with.
      const counted = reason === 'CRASHED' && slot?.version === version && slot.lastCrashMs === atMs;
      return {
        atMs,
        droplet: droplet.id,
        kind: 'exit',
        exit: reason,
        index,
        version,
        instance,
        ...(dea === undefined ? {} : { dea }),
        ...(counted ? { crashes: slot.crashes } : {}),
      };
    });
}

/** Slots that wanted for an instance, want for it no more, and have one. */
function upsOf(looked: Evaluation, policy: PolicySettings): LogEntry[] {
  const { droplet, decided, nowMs } = looked;
  const entries: LogEntry[] = [];
  for (const before of droplet.slots.values()) {
    const after = decided.slots.get(before.index);
    if (!wants(before) || (after !== undefined && wants(after))) continue;
    const instance = liveAt(looked, before, policy);
    if (instance === undefined) continue;
    const sinceMs = before.start?.decidedMs ?? before.lastCrashMs ?? nowMs - policy.dropletLostMs;
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

function wants({ start, flapping, held }: Slot): boolean {
  return start !== undefined || flapping || held !== undefined;
}

/** Of several live ones, RUNNING before STARTING, then the youngest. */
function liveAt(
  { droplet, deas, nowMs }: Evaluation,
  slot: Slot,
  policy: PolicySettings,
): Instance | undefined {
  const exits = exitsByInstance(droplet.exits);
  const rank = (instance: Instance) => (instance.state === 'RUNNING' ? 1 : 0);
  return ofSlot(droplet, slot)
    .filter((instance) => {
      const counts = effectiveState(instance, exits.get(instance.guid), deas, nowMs, policy);
      return counts === 'RUNNING' || counts === 'STARTING';
    })
    .sort((a, b) => rank(b) - rank(a) || b.firstListedMs - a.firstListedMs)[0];
}

function ofSlot({ instances }: Droplet, { index, version }: Slot): Instance[] {
  return instances.filter((instance) => instance.index === index && instance.version === version);
}
