/** What the hold `operator` keeps back (policy: holds). Pure; the decision and the recheck both use it. */
import type { Instance } from '../../model/droplet.ts';
import type { OperatorHold } from '../../model/operator-hold.ts';
import type { Snapshot } from '../snapshot.ts';

type Paused = Pick<Snapshot, 'droplet' | 'holds'>;

/**
 * The operator hold that covers the start of the slot at `index`, whatever its reason: of several the one that ends last.
 *
 * A hold of a DEA covers the slots whose latest instance is that DEA's: the start would replace it elsewhere.
 */
export function operatorHoldOnStart(paused: Paused, index: number): OperatorHold | undefined {
  const { operatorHolds } = paused.holds;
  if (operatorHolds === undefined) return undefined;
  return lastEnding(operatorHolds, ({ covers, droplet, dea }) => {
    if (covers === 'stops') return false;
    if (droplet !== undefined) return droplet === paused.droplet.id;
    return dea === undefined || latestInstanceAt(paused, index)?.dea === dea;
  });
}

/** The operator hold that covers the stop of the instance, whatever its reason: of several the one that ends last. */
export function operatorHoldOnStop(
  { droplet: { id }, holds: { operatorHolds } }: Paused,
  instance: Pick<Instance, 'dea'>,
): OperatorHold | undefined {
  if (operatorHolds === undefined) return undefined;
  return lastEnding(operatorHolds, ({ covers, droplet, dea }) => {
    if (covers === 'starts') return false;
    if (droplet !== undefined) return droplet === id;
    return dea === undefined || dea === instance.dea;
  });
}

/**
 * Whether the instance is the one because of which a hold of its DEA covers the start of its slot. It stays in the record, because
 * without it nothing would hold back the start that replaces it.
 */
export function isPausedWithItsDea(paused: Paused, instance: Instance): boolean {
  const { operatorHolds } = paused.holds;
  if (operatorHolds === undefined || instance.version !== paused.droplet.desired?.version) return false;
  if (!operatorHolds.some(({ covers, dea }) => covers !== 'stops' && dea === instance.dea)) return false;
  return latestInstanceAt(paused, instance.index) === instance;
}

/** The instance of the live version at the index that was first listed last; of two at once the one with the larger guid. */
function latestInstanceAt({ droplet: { instances, desired } }: Paused, index: number): Instance | undefined {
  let latest: Instance | undefined;
  for (const instance of instances) {
    if (instance.index !== index || instance.version !== desired?.version) continue;
    if (latest === undefined || isLater(instance, latest)) latest = instance;
  }
  return latest;
}

function isLater(one: Instance, other: Instance): boolean {
  if (one.firstListedMs !== other.firstListedMs) return one.firstListedMs > other.firstListedMs;
  return one.guid > other.guid;
}

function lastEnding(
  holds: readonly OperatorHold[],
  covers: (hold: OperatorHold) => boolean,
): OperatorHold | undefined {
  let last: OperatorHold | undefined;
  for (const hold of holds)
    if ((last === undefined || hold.untilMs > last.untilMs) && covers(hold)) last = hold;
  return last;
}
