/** The answers about one droplet to the controller's queries (contract: replies of the reporter). Pure. */
import type { ObservedDroplet } from '../../explain/observed-droplet.ts';
import type { Exit, Instance } from '../../model/droplet.ts';
import { isLiveState } from '../../model/instance-states.ts';
import { type EffectiveState, effectiveState, exitsByInstance } from '../../policy/fleet/liveness.ts';
import { isWanted } from '../../policy/slots/wanted.ts';
import type { RunningDroplet, RunningInstance } from '../../redis/records/running-codec.ts';

/** Queries are answered only for a droplet that is desired or has an instance. */
export function isKnown({ desired, instances }: RunningDroplet): boolean {
  return desired !== undefined || instances.length > 0;
}

/** The effective state of each instance now, by the same rule as in decisions. */
export function effectiveStatesOf({
  droplet,
  deas,
  lostBeforeMs,
  settings,
}: ObservedDroplet): Map<Instance, EffectiveState> {
  const exits = exitsByInstance(droplet.exits);
  return new Map(
    droplet.instances.map((instance) => [
      instance,
      effectiveState(instance, exits.get(instance.guid), deas, lostBeforeMs, settings),
    ]),
  );
}

/** What the health of a droplet depends on. */
export interface HealthView extends Pick<ObservedDroplet, 'deas' | 'lostBeforeMs' | 'settings'> {
  droplet: RunningDroplet;
}

/** Number of wanted indices with a live RUNNING instance of that version; 0 for a droplet that is not desired. */
export function healthyCount({ droplet, deas, lostBeforeMs, settings }: HealthView, version: string): number {
  const { desired, instances } = droplet;
  if (desired === undefined) return 0;
  const exits = droplet.exits.length === 0 ? NO_EXITS : exitsByInstance(droplet.exits);
  const isHealthy = (instance: RunningInstance) =>
    instance.version === version &&
    instance.index < desired.instances &&
    effectiveState(instance, exits.get(instance.guid), deas, lostBeforeMs, settings) === 'RUNNING';
  const [only] = instances;
  if (only !== undefined && instances.length === 1) return isHealthy(only) ? 1 : 0;
  return new Set(instances.filter(isHealthy).map(({ index }) => index)).size;
}

const NO_EXITS: ReadonlyMap<string, Exit> = new Map();

export interface FlappingIndex {
  index: number;
  /** Epoch seconds. */
  since: number;
}

/** The wanted slots of that version that are flapping and have no live instance. */
export function flappingIndices(view: ObservedDroplet, version: string): FlappingIndex[] {
  const { droplet } = view;
  if (droplet.slots.size === 0) return [];
  const live = new Set<number>();
  for (const [instance, state] of effectiveStatesOf(view)) {
    if (instance.version === version && isLiveState(state)) {
      live.add(instance.index);
    }
  }
  return [...droplet.slots.values()]
    .filter((slot) => slot.flapping && slot.version === version && version === droplet.desired?.version)
    .filter(({ index }) => isWanted(droplet, index) && !live.has(index))
    .map(({ index, lastCrashMs }) => ({ index, since: Math.floor((lastCrashMs ?? view.nowMs) / 1000) }))
    .sort((a, b) => a.index - b.index);
}
