/**
 * Starts that did not help: sent, and then no instance was reported at the slot, usually because no DEA has room. Such a
 * slot is tried again ever more rarely and behind all first-time starts, so that it never delays what can be helped.
 */
import type { Slot } from '../../model/droplet.ts';
import type { PolicySettings } from '../settings.ts';

/** From this number of attempts on the slot is shown as *unplaced*. */
export const UNPLACED_ATTEMPTS = 3;

export function isUnplaced({ attempts }: Pick<Slot, 'attempts'>): boolean {
  return attempts !== undefined && attempts >= UNPLACED_ATTEMPTS;
}

/** Counts a start that did not help; changes `slot`. @param sentMs when the start was sent */
export function countAttempt(slot: Slot, sentMs: number, settings: PolicySettings): void {
  const attempts = (slot.attempts ?? 0) + 1;
  slot.attempts = attempts;
  slot.retryMs = retryAtMs(attempts, sentMs, settings);
}

/**
 * When a slot is tried again (epoch ms): `droplet_lost` after the start that did not help. That time doubles with each attempt up
 * to `max_restart_delay`.
 *
 * @param attempts with the one that was sent at `sentMs`
 */
export function retryAtMs(
  attempts: number,
  sentMs: number,
  { dropletLostMs, maxRestartDelayMs }: PolicySettings,
): number {
  return sentMs + Math.max(dropletLostMs, Math.min(maxRestartDelayMs, dropletLostMs * 2 ** (attempts - 1)));
}

/** Changes `slot`. */
export function forgetAttempts(slot: Slot): void {
  delete slot.attempts;
  delete slot.retryMs;
}
