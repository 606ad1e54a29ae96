/** The holds `actual_not_fresh` and `desired_unavailable`: how well what runs, and what should run, is known. */
import type { PolicySettings } from './settings.ts';

/** Since when ingestors have been listening without a gap, and when one last said so (epoch ms). */
export interface Listening {
  sinceMs: number;
  untilMs: number;
}

/**
 * An ingestor says that it listens (subscribed at NATS, and writing to Redis): the time since is renewed without
 * losing its beginning, unless nobody listened for more than a third of `droplet_lost`.
 */
export function renewListening(
  listening: Listening | undefined,
  now: number,
  settings: PolicySettings,
): Listening {
  if (listening === undefined || isGap(listening, now, settings)) return { sinceMs: now, untilMs: now };
  return { sinceMs: listening.sinceMs, untilMs: Math.max(now, listening.untilMs) };
}

/** Whether `actual_not_fresh` is on: not listened for `droplet_lost` without a gap. */
export function isActualNotFresh(
  listening: Listening | undefined,
  now: number,
  settings: PolicySettings,
): boolean {
  if (listening === undefined || isGap(listening, now, settings)) return true;
  return now - listening.sinceMs < settings.dropletLostMs;
}

function isGap({ untilMs }: Listening, now: number, settings: PolicySettings): boolean {
  return now - untilMs > settings.dropletLostMs / 3;
}

/**
 * Whether `desired_unavailable` is on.
 *
 * @param lastPassMs when the last complete pass succeeded; absent before the first
 */
export function isDesiredUnavailable(
  lastPassMs: number | undefined,
  now: number,
  settings: PolicySettings,
): boolean {
  return lastPassMs === undefined || now - lastPassMs > settings.desiredStateLostMs;
}
