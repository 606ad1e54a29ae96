import type { Holds } from '../../common/model/droplet.ts';
import type { HoldName } from '../../common/model/reasons.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { readSummary } from '../../common/redis/fleet/summary.ts';
import { STEP_MS, storePoint } from '../../common/redis/fleet/timeline.ts';

/**
 * Records the last day of the fleet (common/redis/fleet/timeline.ts). Several analyzers may do so at once: they write the
 * same field from the same totals.
 */
export class Timeline {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  /** The last step of which this process recorded a point. */
  #step: number | undefined;

  constructor(redis: RedisConnections, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** Call it at every tick: it records the first point of each step. */
  async recordPoint(holds: Holds): Promise<void> {
    const atMs = this.#clock.nowMs();
    const step = Math.floor(atMs / STEP_MS);
    if (step === this.#step) return;
    this.#step = step;
    const sums = await readSummary(this.#redis, ['running', 'missing', 'flapping']);
    const { running = 0, missing = 0, flapping = 0 } = Object.fromEntries(sums);
    await storePoint(this.#redis, {
      ...{ atMs, wanted: running + missing, running, flapping },
      holds: holdsOn(holds),
    });
  }
}

/** The holds of the whole deployment. */
function holdsOn({ desiredUnavailable, massLossDeas, massDelete, operatorHolds }: Holds): HoldName[] {
  return [
    ...(desiredUnavailable ? (['desired_unavailable'] as const) : []),
    ...(massLossDeas.size > 0 ? (['mass_loss'] as const) : []),
    ...(massDelete ? (['mass_delete'] as const) : []),
    ...(operatorHolds === undefined ? [] : (['operator'] as const)),
  ];
}
