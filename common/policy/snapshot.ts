/** All that a decision about a droplet rests on: its record, the liveness of its DEAs, the holds and the time. */
import type { Droplet, Exit, Holds, Instance } from '../model/droplet.ts';
import { type Deas, exitsByInstance, type Standing, standing } from './liveness.ts';
import type { PolicySettings } from './settings.ts';

/** A droplet as it is seen at one moment. */
export interface Sight {
  droplet: Droplet;
  deas: Deas;
  holds: Holds;
  /** Epoch ms on Redis's clock. */
  now: number;
  settings: PolicySettings;
  /** Every instance that runs (STARTING, RUNNING or EVACUATING), with what it counts as. */
  standings: ReadonlyMap<Instance, Standing>;
  /** Live instances of the live version, by index. */
  live: ReadonlyMap<number, readonly Instance[]>;
  /** EVACUATING instances of the live version, by index. */
  evacuating: ReadonlyMap<number, readonly Instance[]>;
  /** The exit that speaks for an instance, by its guid. */
  exits: ReadonlyMap<string, Exit>;
}

/** Looks at all instances of a droplet. */
export function see(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  now: number,
  settings: PolicySettings,
): Sight {
  const exits = exitsByInstance(droplet.exits);
  const standings = new Map<Instance, Standing>();
  const live = new Map<number, Instance[]>();
  const evacuating = new Map<number, Instance[]>();
  for (const instance of droplet.instances) {
    const counts = standing(instance, exits.get(instance.guid), deas, now, settings);
    if (counts === 'NONE') continue;
    standings.set(instance, counts);
    if (instance.version !== droplet.desired?.version) continue;
    const slots = counts === 'EVACUATING' ? evacuating : live;
    const others = slots.get(instance.index);
    if (others === undefined) slots.set(instance.index, [instance]);
    else others.push(instance);
  }
  return { droplet, deas, holds, now, settings, standings, live, evacuating, exits };
}
