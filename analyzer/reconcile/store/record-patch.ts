import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { Instance } from '../../../common/model/droplet.ts';
import type { OperatorHold } from '../../../common/model/operator-hold.ts';
import { type Deas, lastHeartbeatMs } from '../../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { wantedIndices } from '../../../common/policy/slots/wanted.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import type { Decision } from '../../decide/decide.ts';
import type { Evaluation } from '../evaluation.ts';
import { observedEntries } from './observations.ts';

/** What an evaluation changes in the droplet's record, and the entries that it adds to the decision log. */
export interface RecordPatch {
  /** Fields of the Redis hash. */
  set: [field: string, value: string | number][];
  remove: string[];
  log: LogEntry[];
}

/** Pure: the difference between the analyzer's fields as they were read and as they were decided. */
export function recordPatch(evaluation: Evaluation, settings: PolicySettings): RecordPatch {
  const { droplet, decided } = evaluation;
  const set: RecordPatch['set'] = [];
  const remove: string[] = [];
  if (!decided.changed) return { set, remove, log: [] };

  if (decided.handledExits !== droplet.handledExits) set.push([FIELD.handled, decided.handledExits]);
  if (decided.handledUpdateMs !== undefined && decided.handledUpdateMs !== droplet.handledUpdateMs) {
    set.push([FIELD.handledUpdate, decided.handledUpdateMs]);
  }
  if (decided.undesiredMs === undefined && droplet.undesiredMs !== undefined) remove.push(FIELD.undesired);
  else if (decided.undesiredMs !== undefined && decided.undesiredMs !== droplet.undesiredMs)
    set.push([FIELD.undesired, decided.undesiredMs]);
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
  for (const index of decided.retriesToForget) remove.push(FIELD.retry + index);
  const hasOutcomesLeft = decided.outcomesToForget.length < droplet.outcomes.size;
  if (droplet.settlements !== undefined && !hasOutcomesLeft) remove.push(FIELD.settlements);
  for (const guid of decided.instancesToForget) remove.push(FIELD.instance + guid);
  for (const guid of decided.exitsToForget) remove.push(FIELD.exit + guid);
  const decisions = decided.decisions.map((decision) => logEntry(evaluation, decision));
  return { set, remove, log: [...observedEntries(evaluation, settings), ...decisions] };
}

function logEntry(evaluation: Evaluation, decision: Decision): LogEntry {
  const { droplet, decided, nowMs } = evaluation;
  const crashes = 'index' in decision ? decided.slots.get(decision.index)?.crashes : undefined;
  const { kind, id } = decision;
  return {
    atMs: nowMs,
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
    ...('attempts' in decision ? { attempts: decision.attempts } : {}),
    ...('hold' in decision ? { hold: decision.hold, ...operatorFields(decision.operatorHold) } : {}),
    ...('why' in decision ? { why: decision.why } : {}),
    ...('crashes' in decision ? { crashes: decision.crashes } : crashes ? { crashes } : {}),
    ...evidenceOf(evaluation, decision),
  };
}

/** Who paused it, why and until when. */
function operatorFields(hold: OperatorHold | undefined): Partial<LogEntry> {
  if (hold === undefined) return {};
  const { id, by, why, untilMs } = hold;
  return { by, note: why, holdId: id, untilMs };
}

type Evidence = Pick<LogEntry, 'instance' | 'dea' | 'state' | 'lastHeartbeatMs' | 'wanted' | 'liveVersion'>;

/** The evidence for a decision. That of a decision about an exit is the entry of the exit itself. */
function evidenceOf({ droplet, deas }: Evaluation, decision: Decision): Evidence {
  if ('instance' in decision) {
    const stopped = droplet.instances.find(({ guid }) => guid === decision.instance);
    const liveVersion = droplet.desired?.version;
    return {
      ...stateOf(stopped, deas),
      wanted: wantedIndices(droplet),
      ...(liveVersion === undefined ? {} : { liveVersion }),
    };
  }
  const isAboutStart = decision.kind === 'start' || decision.kind === 'held' || decision.kind === 'raise';
  if (!isAboutStart || (decision.reason !== 'missing' && decision.reason !== 'evacuated')) return {};
  // Heartbeats list a crashed instance as CRASHED for long: it is no evidence for the one that ran after it.
  const crashed = ({ state }: Instance) => (state === 'CRASHED' ? 1 : 0);
  const isOfSlot = ({ index, version }: { index: number; version: string }) =>
    index === decision.index && version === decision.version;
  // Nor is an instance that was already silent when another instance of the slot exited.
  const wasReplaced = (instance: Instance) =>
    droplet.exits.some(
      (exit) =>
        isOfSlot(exit) && exit.instance !== instance.guid && exit.atMs > lastHeartbeatMs(instance, deas),
    );
  const candidates = droplet.instances
    .filter((instance) => isOfSlot(instance) && !wasReplaced(instance))
    .sort((a, b) => crashed(a) - crashed(b) || lastHeartbeatMs(b, deas) - lastHeartbeatMs(a, deas));
  return stateOf(candidates[0], deas);
}

function stateOf(instance: Instance | undefined, deas: Deas): Evidence {
  if (instance === undefined) return {};
  const { guid, dea, state } = instance;
  return { instance: guid, dea, state, lastHeartbeatMs: lastHeartbeatMs(instance, deas) };
}
