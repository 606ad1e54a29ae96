import type { Droplet } from '../../../common/model/droplet.ts';
import { isLiveState } from '../../../common/model/instance-states.ts';
import { HOLD_NAMES, type HoldName } from '../../../common/model/reasons.ts';
import { type Deas, lastHeartbeatMs } from '../../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { isUnplaced } from '../../../common/policy/slots/attempts.ts';
import { crashesOf } from '../../../common/policy/slots/crashes.ts';
import { isDesired, wantedIndices } from '../../../common/policy/slots/wanted.ts';
import { heldField, TOTALS, type TotalName } from '../../../common/redis/fleet/summary.ts';
import type { DecisionResult } from '../../decide/decide.ts';
import type { Evaluation } from '../../reconcile/evaluation.ts';
import { liveIndices } from '../../reconcile/store/live-indices.ts';

/** The part of an evaluation that the totals need. */
interface Counted extends Pick<Evaluation, 'droplet' | 'deas' | 'nowMs' | 'lostBeforeMs'> {
  decided: Pick<DecisionResult, 'slots' | 'stops'>;
}

/** The totals of a slice's droplets. They are added for every droplet of the fleet, so the usual one costs little. */
export class Totals {
  readonly #settings: PolicySettings;
  readonly #totals = Object.fromEntries(TOTALS.map((name) => [name, 0])) as Record<TotalName, number>;
  readonly #held = new Map<HoldName, number>();

  constructor(settings: PolicySettings) {
    this.#settings = settings;
  }

  add({ droplet, decided, deas, nowMs, lostBeforeMs }: Counted): void {
    const { slots, stops } = decided;
    const totals = this.#totals;
    totals.droplets++;
    const desired = isDesired(droplet) ? droplet.desired : undefined;
    const started = desired?.state === 'STARTED';
    if (desired !== undefined) {
      const memoryMb = desired.memoryMb * desired.instances;
      totals.apps++;
      totals.instances += desired.instances;
      totals.memory_mb += memoryMb;
      if (started) {
        totals.started_apps++;
        totals.started_instances += desired.instances;
        totals.started_memory_mb += memoryMb;
      }
    }
    const wanted = wantedIndices(droplet);
    let live = 0;
    if (wanted > 0)
      for (const index of liveIndices(droplet, deas, lostBeforeMs, this.#settings))
        if (index < wanted) live++;
    if (live > 0 || hasLiveInstance(droplet, deas, lostBeforeMs)) totals.live_droplets++;
    totals.running += live;
    totals.missing += wanted - live;
    if (droplet.exits.length > 0 || hasCrashed(droplet)) {
      const crashes = crashesOf(droplet, deas, nowMs, this.#settings).length;
      totals.crashed += crashes;
      if (started) totals.started_crashed += crashes;
    }
    if (slots.size === 0 && stops.size === 0) return;
    for (const slot of slots.values()) {
      if (slot.index >= wanted || slot.version !== desired?.version) continue;
      if (slot.flapping) totals.flapping++;
      if (isUnplaced(slot)) totals.unplaced++;
    }
    for (const hold of holdsOn(decided)) this.#held.set(hold, (this.#held.get(hold) ?? 0) + 1);
  }

  /** The fields of the slice's summary (see `common/redis/fleet/summary.ts`). */
  toFields(): Record<string, number> {
    const held = HOLD_NAMES.map((hold) => [heldField(hold), this.#held.get(hold) ?? 0]);
    return { ...this.#totals, ...Object.fromEntries(held) };
  }
}

function hasLiveInstance({ instances }: Droplet, deas: Deas, lostBeforeMs: number): boolean {
  return instances.some(
    (instance) => isLiveState(instance.state) && lastHeartbeatMs(instance, deas) >= lostBeforeMs,
  );
}

function hasCrashed({ instances }: Droplet): boolean {
  for (const { state } of instances) if (state === 'CRASHED') return true;
  return false;
}

/** The holds that prevent a start or stop of the droplet. */
function holdsOn({ slots, stops }: Counted['decided']): Set<HoldName> {
  const holds = new Set<HoldName>();
  for (const { held } of slots.values()) if (held !== undefined) holds.add(held);
  for (const { held } of stops.values()) if (held !== undefined) holds.add(held);
  return holds;
}
