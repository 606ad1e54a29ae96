import type { HoldName } from '../../common/model/reasons.ts';
import type { Logger } from '../../common/runtime/log.ts';
import type { HoldState } from '../../common/views/fleet.ts';

/** A hold that stays on is said again so often: how many droplets it keeps back is counted only by the audits. */
const AGAIN_MS = 60_000;

/** Says in the log which hold is on, since when, and for how many droplets, and when it is over (policy: holds). */
export class HoldLog {
  readonly #log: Logger;
  /** When each hold that is on was last said to be. */
  readonly #saidMs = new Map<HoldName, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** To be told every few seconds how the holds are. */
  update(holds: readonly HoldState[], nowMs: number): void {
    for (const { hold, on, sinceMs, droplets } of holds) {
      const saidMs = this.#saidMs.get(hold);
      // A droplet's own, and over in a second or two: it is in the metrics only.
      if (hold === 'update_required') continue;
      if (on && (saidMs === undefined || nowMs - saidMs >= AGAIN_MS)) {
        this.#saidMs.set(hold, nowMs);
        const since = sinceMs === undefined ? null : sinceMs / 1000;
        this.#log.warn({ event: 'hold_on', hold, since, droplets }, `the hold ${hold} is on`);
      } else if (!on && this.#saidMs.delete(hold)) {
        this.#log.info({ event: 'hold_off', hold }, `the hold ${hold} is over`);
      }
    }
  }
}
