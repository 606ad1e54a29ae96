/** What the controller's queries ask of one droplet (contract: replies of the reporter). Pure. */
import type { ObservedDroplet } from '../explain/observed-droplet.ts';
import type { Droplet, Instance } from '../model/droplet.ts';
import { isLiveState } from '../model/instance-states.ts';
import { type EffectiveState, effectiveState, exitsByInstance } from '../policy/liveness.ts';
import { isWanted } from '../policy/wanted.ts';

/** Only a droplet that is desired, or of which an instance was heard, is known to those who ask. */
export function isKnown({ desired, instances }: Droplet): boolean {
  return desired !== undefined || instances.length > 0;
}

/** What each instance counts as now, by the same rule as for every decision. */
export function effectiveStatesOf({
  droplet,
  deas,
  nowMs,
  settings,
}: ObservedDroplet): Map<Instance, EffectiveState> {
  const exits = exitsByInstance(droplet.exits);
  return new Map(
    droplet.instances.map((instance) => [
      instance,
      effectiveState(instance, exits.get(instance.guid), deas, nowMs, settings),
    ]),
  );
}

/** How many of the indices 0..instances-1 have a live RUNNING instance of that version; 0 if not desired at all. */
export function healthyCount(view: ObservedDroplet, version: string): number {
  const { desired, instances } = view.droplet;
  if (desired === undefined || instances.length === 0) return 0;
  const indices = new Set<number>();
  for (const [instance, counts] of effectiveStatesOf(view)) {
    if (counts !== 'RUNNING' || instance.version !== version) continue;
    if (instance.index < desired.instances) indices.add(instance.index);
  }
  return indices.size;
}

export interface FlappingIndex {
  index: number;
  /** Epoch seconds. */
  since: number;
}

/** The wanted slots of that version that crashed so often that they are not restarted at once. */
export function flappingIndices(view: ObservedDroplet, version: string): FlappingIndex[] {
  const { droplet } = view;
  if (droplet.slots.size === 0) return [];
  const live = new Set<number>();
  for (const [instance, counts] of effectiveStatesOf(view)) {
    if (instance.version === version && isLiveState(counts)) {
      live.add(instance.index);
    }
  }
  return [...droplet.slots.values()]
    .filter((slot) => slot.flapping && slot.version === version && version === droplet.desired?.version)
    .filter(({ index }) => isWanted(droplet, index) && !live.has(index))
    .map(({ index, lastCrashMs }) => ({ index, since: Math.floor((lastCrashMs ?? view.nowMs) / 1000) }))
    .sort((a, b) => a.index - b.index);
}
