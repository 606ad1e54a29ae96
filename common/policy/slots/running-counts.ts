/** The `running` counts of `health.start` and `health.stop`, which the controller checks. */
import type { Instance } from '../../model/droplet.ts';
import { isListed } from '../fleet/liveness.ts';
import type { Snapshot } from '../snapshot.ts';

/** Counts by version; a version without running instances is left out. */
export type Running = ReadonlyMap<string, number>;

/**
 * The counts of a start. Of the live version only wanted indices (0..instances-1) with a live RUNNING instance count, because a
 * surplus instance must not forbid the start of a missing one. Of other versions all live RUNNING instances count.
 */
export function runningForStart({ droplet, effectiveStates }: Snapshot): Running {
  const { desired } = droplet;
  const counts = new Map<string, number>();
  const indices = new Set<number>();
  for (const [instance, state] of effectiveStates) {
    if (state !== 'RUNNING') continue;
    if (desired === undefined || instance.version !== desired.version) increment(counts, instance.version);
    else if (instance.index < desired.instances) indices.add(instance.index);
  }
  if (desired !== undefined && indices.size > 0) counts.set(desired.version, indices.size);
  return counts;
}

/** How many instances of each version are live and RUNNING. */
export function runningByVersion({ effectiveStates }: Snapshot): Running {
  const counts = new Map<string, number>();
  for (const [{ version }, state] of effectiveStates) if (state === 'RUNNING') increment(counts, version);
  return counts;
}

/**
 * The counts of a stop: each version's live RUNNING instances, and the stopped one whatever its state. So `running` minus the
 * stopped one is what stays RUNNING.
 *
 * @param running what `runningByVersion` returns
 * @param namedVersion the version under which the message names the stopped instance
 */
export function runningForStop(
  { effectiveStates }: Snapshot,
  running: Running,
  stopped: Instance,
  namedVersion: string,
): Running {
  const counts = new Map(running);
  if (effectiveStates.get(stopped) === 'RUNNING') {
    const others = (running.get(stopped.version) ?? 0) - 1;
    if (others > 0) counts.set(stopped.version, others);
    else counts.delete(stopped.version);
  }
  increment(counts, namedVersion);
  return counts;
}

/** How many instances of the live version are listed, live and RUNNING, without those whose guid is in `except`. */
export function countRunning({ droplet, effectiveStates }: Snapshot, except: ReadonlySet<string>): number {
  let count = 0;
  for (const [instance, state] of effectiveStates) {
    if (state !== 'RUNNING' || instance.version !== droplet.desired?.version) continue;
    if (!isListed(instance)) continue;
    if (!except.has(instance.guid)) count++;
  }
  return count;
}

function increment(counts: Map<string, number>, version: string): void {
  counts.set(version, (counts.get(version) ?? 0) + 1);
}
