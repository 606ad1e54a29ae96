import type { Droplet, PendingStop, Slot } from '../../common/model/droplet.ts';
import { HOLD_NAMES, type HoldName } from '../../common/model/reasons.ts';
import { crashesOf } from '../../common/policy/crashes.ts';
import { type Deas, effectiveState, exitsByInstance } from '../../common/policy/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { isDesired, wantedIndices } from '../../common/policy/wanted.ts';
import { heldField, TOTALS, type TotalName } from '../../common/redis/summary.ts';

/** Of what was decided about a droplet: what is remembered of it from now on. */
interface Remembered {
  slots: ReadonlyMap<number, Slot>;
  stops: ReadonlyMap<string, PendingStop>;
}

/** Indices that fit the bits of a small integer. */
const MOST_BITS = 31;

const NO_EXITS: ReturnType<typeof exitsByInstance> = new Map();

/** Counts what a slice's droplets are like. Runs for every droplet of the fleet, so the usual one costs little. */
export class Totals {
  readonly #policy: PolicySettings;
  readonly #totals = Object.fromEntries(TOTALS.map((name) => [name, 0])) as Record<TotalName, number>;
  readonly #held = new Map<HoldName, number>();

  constructor(policy: PolicySettings) {
    this.#policy = policy;
  }

  /**
   * @param deas at least the DEAs that the droplet's instances name, as far as they are known
   * @param nowMs the time of the decision
   */
  add(droplet: Droplet, { slots, stops }: Remembered, deas: Deas, nowMs: number): void {
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
    const live = wanted === 0 ? 0 : this.#live(droplet, wanted, deas, nowMs);
    totals.running += live;
    totals.missing += wanted - live;
    if (droplet.exits.length > 0 || hasCrashed(droplet)) {
      const crashes = crashesOf(droplet, deas, nowMs, this.#policy).length;
      totals.crashed += crashes;
      if (started) totals.started_crashed += crashes;
    }
    if (slots.size === 0 && stops.size === 0) return;
    for (const { flapping, index, version } of slots.values()) {
      if (flapping && index < wanted && version === desired?.version) totals.flapping++;
    }
    for (const hold of heldBy(slots, stops)) this.#held.set(hold, (this.#held.get(hold) ?? 0) + 1);
  }

  /** How many wanted slots have a live instance. */
  #live({ instances, exits, desired }: Droplet, wanted: number, deas: Deas, nowMs: number): number {
    const exitOf = exits.length === 0 ? NO_EXITS : exitsByInstance(exits);
    let bits = 0;
    let more: Set<number> | undefined;
    let live = 0;
    for (const instance of instances) {
      const { index, version, guid } = instance;
      if (index >= wanted || version !== desired?.version) continue;
      const counts = effectiveState(instance, exitOf.get(guid), deas, nowMs, this.#policy);
      if (counts === 'NONE' || counts === 'EVACUATING') continue;
      if (index < MOST_BITS) {
        if ((bits & (1 << index)) !== 0) continue;
        bits |= 1 << index;
      } else {
        more ??= new Set();
        if (more.has(index)) continue;
        more.add(index);
      }
      live++;
    }
    return live;
  }

  /** The fields of the slice's summary (see `common/redis/summary.ts`). */
  toFields(): Record<string, number> {
    const held = HOLD_NAMES.map((hold) => [heldField(hold), this.#held.get(hold) ?? 0]);
    return { ...this.#totals, ...Object.fromEntries(held) };
  }
}

function hasCrashed({ instances }: Droplet): boolean {
  for (const { state } of instances) if (state === 'CRASHED') return true;
  return false;
}

function heldBy(slots: Remembered['slots'], stops: Remembered['stops']): Set<HoldName> {
  const holds = new Set<HoldName>();
  for (const { held } of slots.values()) if (held !== undefined) holds.add(held);
  for (const { held } of stops.values()) if (held !== undefined) holds.add(held);
  return holds;
}
