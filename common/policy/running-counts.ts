/** The `running` counts of `health.start` and `health.stop`, which the controller checks. */
import type { Instance } from '../model/droplet.ts';
import type { Snapshot } from './snapshot.ts';

/** Counts by version; only versions with at least one. */
export type Running = ReadonlyMap<string, number>;

/**
 * For a start. Live version: the wanted indices (0..instances-1) that have a live RUNNING instance, so that a
 * surplus instance does not speak against the start of a missing one. Other versions: their live RUNNING instances.
 */
export function runningForStart({ droplet, effectiveStates }: Snapshot): Running {
  const { desired } = droplet;
  const counts = new Map<string, number>();
  const indices = new Set<number>();
  for (const [instance, standing] of effectiveStates) {
    if (standing !== 'RUNNING') continue;
    if (desired === undefined || instance.version !== desired.version) add(counts, instance.version);
    else if (instance.index < desired.instances) indices.add(instance.index);
  }
  if (desired !== undefined && indices.size > 0) counts.set(desired.version, indices.size);
  return counts;
}

/**
 * For a stop: each version's live RUNNING instances, and the named ones whatever their state, so that `running`
 * minus the named ones is what stays RUNNING.
 */
export function runningForStop({ effectiveStates }: Snapshot, named: readonly Instance[]): Running {
  const counts = new Map<string, number>();
  for (const [instance, standing] of effectiveStates) {
    if (standing === 'RUNNING' && !named.includes(instance)) add(counts, instance.version);
  }
  for (const instance of named) add(counts, instance.version);
  return counts;
}

/** How many instances of the live version are live and RUNNING, without those named in `except`. */
export function countRunning({ droplet, effectiveStates }: Snapshot, except: ReadonlySet<string>): number {
  let count = 0;
  for (const [instance, standing] of effectiveStates) {
    if (standing !== 'RUNNING' || instance.version !== droplet.desired?.version) continue;
    if (!except.has(instance.guid)) count++;
  }
  return count;
}

function add(counts: Map<string, number>, version: string): void {
  counts.set(version, (counts.get(version) ?? 0) + 1);
}
