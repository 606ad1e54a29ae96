/** The holds `actual_not_fresh` and `desired_unavailable`: how well what runs, and what should run, is known. */
import type { PolicySettings } from './settings.ts';

/** Since when something has been done without a gap, and when it was last done (epoch ms). */
export interface Unbroken {
  sinceMs: number;
  untilMs: number;
}

/**
 * It is done now. An ingestor says that it listens (subscribed at NATS, and writing to Redis), or a tick judges `mass_loss`:
 * the time since is renewed without losing its beginning, unless nobody did for longer than `longestMs`.
 */
export function renewUnbroken(before: Unbroken | undefined, now: number, longestMs: number): Unbroken {
  if (before === undefined || now - before.untilMs > longestMs) return { sinceMs: now, untilMs: now };
  return { sinceMs: before.sinceMs, untilMs: Math.max(now, before.untilMs) };
}

/** Whether `actual_not_fresh` is on: not listened for `droplet_lost` without a gap. */
export function isActualNotFresh(
  listening: Unbroken | undefined,
  now: number,
  settings: PolicySettings,
): boolean {
  if (listening === undefined || isGap(listening, now, settings)) return true;
  return now - listening.sinceMs < settings.dropletLostMs;
}

/** Ingestors may be silent for so long. */
export function listeningGapMs({ dropletLostMs }: PolicySettings): number {
  return dropletLostMs / 3;
}

function isGap({ untilMs }: Unbroken, now: number, settings: PolicySettings): boolean {
  return now - untilMs > listeningGapMs(settings);
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
