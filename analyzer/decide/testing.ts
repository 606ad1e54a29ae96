/** For tests: what storing a decision does to a record, without Redis. */
import type { Droplet } from '../../common/droplet.ts';
import type { Decided } from './decision.ts';

/** The record after the decision was stored. */
export function applied(droplet: Droplet, decided: Decided): Droplet {
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
  if (decided.handledUpdateMs !== undefined) next.handledUpdateMs = decided.handledUpdateMs;
  return next;
}
