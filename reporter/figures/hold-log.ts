import type { HoldName } from '../../common/model/reasons.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import type { HoldState } from '../../common/views/fleet.ts';

/** A hold that stays on is logged again after this time, because audits update its number of droplets. */
const REPEAT_MS = 60_000;

/** Logs each hold when it comes on, every minute while it stays on, and when it ends. */
export class HoldLog {
  readonly #log: Logger;
  /** When each hold that is on was last logged (epoch ms). */
  readonly #loggedMs = new Map<HoldName, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** To be called every few seconds with the state of all holds. */
  update(holds: readonly HoldState[], nowMs: number): void {
    for (const { hold, on, sinceMs, droplets, takenOver, operatorHolds } of holds) {
      const loggedMs = this.#loggedMs.get(hold);
      // On for single droplets, for a second or two: it is in the metrics only.
      if (hold === 'update_required') continue;
      if (on && (loggedMs === undefined || nowMs - loggedMs >= REPEAT_MS)) {
        this.#loggedMs.set(hold, nowMs);
        this.#log.warn(
          {
            event: 'hold_on',
            hold,
            sinceMs: sinceMs ?? null,
            droplets,
            ...(takenOver && { takenOver }),
            ...(operatorHolds && { operatorHolds }),
          },
          `hold ${hold} is on`,
        );
      } else if (!on && this.#loggedMs.delete(hold)) {
        this.#log.info({ event: 'hold_off', hold }, `hold ${hold} has ended`);
      }
    }
  }
}
