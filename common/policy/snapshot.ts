import type { Droplet, Exit, Holds, Instance } from '../model/droplet.ts';
import { type Deas, type EffectiveState, effectiveState, exitsByInstance } from './liveness.ts';
import type { PolicySettings } from './settings.ts';

/** Everything that the decisions about one droplet depend on, at one moment. */
export interface Snapshot {
  droplet: Droplet;
  deas: Deas;
  holds: Holds;
  /** Epoch ms by Redis's clock. */
  nowMs: number;
  settings: PolicySettings;
  /** Every instance that runs (STARTING, RUNNING or EVACUATING), with what it counts as. */
  effectiveStates: ReadonlyMap<Instance, EffectiveState>;
  /** Live instances of the live version, by index. */
  live: ReadonlyMap<number, readonly Instance[]>;
  /** EVACUATING instances of the live version, by index. */
  evacuating: ReadonlyMap<number, readonly Instance[]>;
  /** The exit that counts for an instance, by its guid. */
  exits: ReadonlyMap<string, Exit>;
}

export function takeSnapshot(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): Snapshot {
  const exits = exitsByInstance(droplet.exits);
  const effectiveStates = new Map<Instance, EffectiveState>();
  const live = new Map<number, Instance[]>();
  const evacuating = new Map<number, Instance[]>();
  for (const instance of droplet.instances) {
    const state = effectiveState(instance, exits.get(instance.guid), deas, nowMs, settings);
    if (state === 'NONE') continue;
    effectiveStates.set(instance, state);
    if (instance.version !== droplet.desired?.version) continue;
    const slots = state === 'EVACUATING' ? evacuating : live;
    const others = slots.get(instance.index);
    if (others === undefined) slots.set(instance.index, [instance]);
    else others.push(instance);
  }
  return { droplet, deas, holds, nowMs, settings, effectiveStates, live, evacuating, exits };
}
