import type { Droplet, Slot } from '../../common/model/droplet.ts';
import { type Deas, effectiveState, exitsByInstance } from '../../common/policy/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { graceEndsMs, wantedIndices } from '../../common/policy/wanted.ts';
import { isQuiet } from '../decide/decision.ts';
import type { Evaluation } from './evaluation.ts';

/** Places for droplets of which the same share is missing: the one that misses more is worse off. */
const PLACES = 1000;

/**
 * How badly off a droplet is, so that people see the worst first: 0 if it is as it should be, below 1 if it only has
 * something to be stopped, else by the share of its wanted slots that are missing and then by their number.
 *
 * A slot that has not had its time yet is not missing.
 */
export function severityOf({ droplet, decided, deas, nowMs }: Evaluation, policy: PolicySettings): number {
  const { slots, stops } = decided;
  if (slots.size === 0 && stops.size === 0 && isQuiet(decided)) return 0;
  const wanted = wantedIndices(droplet);
  const live = liveIndices(droplet, deas, nowMs, policy);
  let missing = 0;
  for (let index = 0; index < wanted; index++) {
    if (live.has(index)) continue;
    if (isTroubled(slots.get(index), droplet) || nowMs >= graceEndsMs(droplet, index, policy)) missing++;
  }
  if (missing > 0) return Math.round((missing / wanted) * PLACES) * PLACES + Math.min(PLACES - 1, missing);
  return Math.min(PLACES - 1, stops.size) / PLACES;
}

function liveIndices(droplet: Droplet, deas: Deas, nowMs: number, policy: PolicySettings): Set<number> {
  const exits = exitsByInstance(droplet.exits);
  const live = new Set<number>();
  for (const instance of droplet.instances) {
    if (instance.version !== droplet.desired?.version) continue;
    const counts = effectiveState(instance, exits.get(instance.guid), deas, nowMs, policy);
    if (counts === 'RUNNING' || counts === 'STARTING') live.add(instance.index);
  }
  return live;
}

function isTroubled(slot: Slot | undefined, { desired }: Droplet): boolean {
  if (slot === undefined || slot.version !== desired?.version) return false;
  return slot.start !== undefined || slot.held !== undefined || slot.flapping;
}
