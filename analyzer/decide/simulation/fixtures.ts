/** For tests: stores a decision in a record, and encodes and decodes a record, without Redis. */
import type { Droplet } from '../../../common/model/droplet.ts';
import { FIELD } from '../../../common/redis/keys.ts';
import {
  decodeDroplet,
  encodeDesired,
  encodeExit,
  encodeInstance,
} from '../../../common/redis/records/record-codec.ts';
import type { DecisionResult } from '../decision.ts';

/** The record after the decision was stored. */
export function applyDecision(droplet: Droplet, decided: DecisionResult): Droplet {
  if (!decided.changed) return droplet;
  const next: Droplet = {
    ...droplet,
    rev: droplet.rev + 1,
    handledExits: decided.handledExits,
    slots: new Map(decided.slots),
    stops: new Map(decided.stops),
    outcomes: new Map([...droplet.outcomes].filter(([id]) => !decided.outcomesToForget.includes(id))),
    instances: droplet.instances.filter(({ guid }) => !decided.instancesToForget.includes(guid)),
    exits: droplet.exits.filter(({ instance }) => !decided.exitsToForget.includes(instance)),
  };
  if (decided.retriesToForget.length > 0) delete next.retries;
  if (decided.undesiredMs === undefined) delete next.undesiredMs;
  else next.undesiredMs = decided.undesiredMs;
  if (decided.handledUpdateMs !== undefined) next.handledUpdateMs = decided.handledUpdateMs;
  return next;
}

/** The record as a restarted process reads it: encoded and decoded. */
export function reload(droplet: Droplet): Droplet {
  const { id, rev, firstSeenMs, desired, handledExits, instances, exits, slots, stops, outcomes } = droplet;
  const fields: [string, string | number | undefined][] = [
    [FIELD.rev, rev],
    [FIELD.seen, firstSeenMs],
    [FIELD.desired, desired && encodeDesired(desired)],
    [FIELD.gone, droplet.goneMs],
    [FIELD.listed, droplet.listedMs],
    [FIELD.versionSince, droplet.versionSinceMs],
    [FIELD.rebuilt, droplet.rebuiltMs],
    [FIELD.undesired, droplet.undesiredMs],
    [FIELD.updated, droplet.updatedMs],
    [FIELD.handled, handledExits],
    [FIELD.handledUpdate, droplet.handledUpdateMs],
    ...instances.map((i): [string, string] => [FIELD.instance + i.guid, encodeInstance(i)]),
    ...exits.map((e): [string, string] => [FIELD.exit + e.instance, encodeExit(e)]),
    ...Array.from(slots, ([index, slot]): [string, string] => [FIELD.slot + index, JSON.stringify(slot)]),
    ...Array.from(droplet.retries ?? [], ([index, atMs]): [string, number] => [FIELD.retry + index, atMs]),
    ...Array.from(stops, ([guid, stop]): [string, string] => [FIELD.stop + guid, JSON.stringify(stop)]),
    ...Array.from(outcomes, ([of, outcome]): [string, string] => [
      FIELD.outcome + of,
      JSON.stringify(outcome),
    ]),
  ];
  const there = fields.filter(([, value]) => value !== undefined);
  return decodeDroplet(
    id,
    there.flatMap(([field, value]) => [field, String(value)]),
  ) as Droplet;
}
