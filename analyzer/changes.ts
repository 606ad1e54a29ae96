import type { LogEntry } from '../common/decision-log.ts';
import type { Droplet } from '../common/droplet.ts';
import { FIELD } from '../common/schema.ts';
import type { Decided, Decision } from './decide/decide.ts';

/** What a decision changes in the droplet's record, and what the log says of it. */
export interface Changes {
  set: [field: string, value: string | number][];
  remove: string[];
  log: LogEntry[];
}

/** Pure: the difference between the analyzer's fields as they were read and as they are to be. */
export function changesOf(droplet: Droplet, decided: Decided, nowMs: number): Changes {
  const set: Changes['set'] = [];
  const remove: string[] = [];
  if (!decided.changed) return { set, remove, log: [] };

  if (decided.handledExits !== droplet.handledExits) set.push([FIELD.handled, decided.handledExits]);
  if (decided.handledUpdateMs !== undefined && decided.handledUpdateMs !== droplet.handledUpdateMs) {
    set.push([FIELD.handledUpdate, decided.handledUpdateMs]);
  }
  for (const [index, slot] of decided.slots) {
    if (droplet.slots.get(index) !== slot) set.push([FIELD.slot + index, JSON.stringify(slot)]);
  }
  for (const index of droplet.slots.keys()) {
    if (!decided.slots.has(index)) remove.push(FIELD.slot + index);
  }
  for (const [instance, stop] of decided.stops) {
    if (droplet.stops.get(instance) !== stop) set.push([FIELD.stop + instance, JSON.stringify(stop)]);
  }
  for (const instance of droplet.stops.keys()) {
    if (!decided.stops.has(instance)) remove.push(FIELD.stop + instance);
  }
  for (const id of decided.outcomesToForget) remove.push(FIELD.outcome + id);
  for (const guid of decided.instancesToForget) remove.push(FIELD.instance + guid);
  for (const guid of decided.exitsToForget) remove.push(FIELD.exit + guid);
  return { set, remove, log: decided.decisions.map((decision) => logEntry(droplet, decision, nowMs)) };
}

function logEntry(droplet: Droplet, decision: Decision, atMs: number): LogEntry {
  const crashes = 'index' in decision ? droplet.slots.get(decision.index)?.crashes : undefined;
  const { kind, id } = decision;
  return {
    atMs,
    droplet: droplet.id,
    kind,
    id,
    ...('what' in decision ? { what: decision.what } : {}),
    ...('reason' in decision ? { reason: decision.reason } : {}),
    ...('index' in decision ? { index: decision.index } : {}),
    ...('version' in decision ? { version: decision.version } : {}),
    ...('instance' in decision ? { instance: decision.instance } : {}),
    ...('priority' in decision ? { priority: decision.priority } : {}),
    ...('dueMs' in decision ? { dueMs: decision.dueMs } : {}),
    ...('hold' in decision ? { hold: decision.hold } : {}),
    ...('why' in decision ? { why: decision.why } : {}),
    ...('crashes' in decision ? { crashes: decision.crashes } : crashes === undefined ? {} : { crashes }),
  };
}
