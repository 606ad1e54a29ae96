import type { Droplet } from '../../../common/model/droplet.ts';
import { isLiveState } from '../../../common/model/instance-states.ts';
import { type Deas, effectiveState, exitsByInstance } from '../../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';

const NO_EXITS: ReturnType<typeof exitsByInstance> = new Map();

/**
 * The indices at which the live version has a live instance, also those beyond the wanted ones.
 *
 * The audit calls this for every droplet of the fleet, so the usual droplet, without exits, costs little.
 *
 * @param lostBeforeMs what was last listed before this time is lost
 */
export function liveIndices(
  { instances, exits, desired }: Droplet,
  deas: Deas,
  lostBeforeMs: number,
  settings: PolicySettings,
): Set<number> {
  const exitOf = exits.length === 0 ? NO_EXITS : exitsByInstance(exits);
  const live = new Set<number>();
  for (const instance of instances) {
    if (instance.version !== desired?.version) continue;
    const state = effectiveState(instance, exitOf.get(instance.guid), deas, lostBeforeMs, settings);
    if (isLiveState(state)) live.add(instance.index);
  }
  return live;
}
