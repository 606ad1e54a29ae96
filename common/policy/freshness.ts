/** The holds `actual_not_fresh` and `desired_unavailable`: how well what runs, and what should run, is known. */
import type { Holds } from '../model/droplet.ts';
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

/**
 * When a DEA that was heard then may have spoken last. Where something may have been lost since (`missedMs`), it may have spoken
 * once more: a heartbeat comes within a third of `droplet_lost`. If it was cut off right after that, nothing else will tell.
 */
export function mayHaveSpokenMs(
  heardMs: number,
  missedMs: number | undefined,
  { dropletLostMs }: PolicySettings,
): number {
  if (missedMs === undefined || missedMs <= heardMs) return heardMs;
  return Math.min(missedMs, heardMs + dropletLostMs / 3);
}

/**
 * Whether silence since then is no loss yet, as far as is known: what DEAs say counts for `droplet_lost`, and is known until
 * `heardUntilMs`; beyond that an ingestor may have it in hand.
 */
export function isHeardLately(
  heardMs: number,
  { heardUntilMs, missedMs }: Pick<Holds, 'heardUntilMs' | 'missedMs'>,
  settings: PolicySettings,
): boolean {
  if (heardUntilMs === undefined) return true;
  return heardUntilMs - mayHaveSpokenMs(heardMs, missedMs, settings) <= settings.dropletLostMs;
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
