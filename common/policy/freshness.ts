/** The holds `actual_not_fresh` and `desired_unavailable`: how well what runs, and what should run, is known. */
import type { Holds } from '../model/droplet.ts';
import type { PolicySettings } from './settings.ts';

/** Since when something has been done without a gap, and when it was last done (epoch ms). */
export interface Streak {
  sinceMs: number;
  untilMs: number;
}

/**
 * It is done now. An ingestor says that it listens (subscribed at NATS, and writing to Redis), or a tick judges `mass_loss`:
 * the time since is renewed without losing its beginning, unless nobody did for longer than `longestMs`.
 */
export function extendStreak(before: Streak | undefined, nowMs: number, longestMs: number): Streak {
  if (before === undefined || nowMs - before.untilMs > longestMs) return { sinceMs: nowMs, untilMs: nowMs };
  return { sinceMs: before.sinceMs, untilMs: Math.max(nowMs, before.untilMs) };
}

/** Whether `actual_not_fresh` is on: not listened for `droplet_lost` without a gap. */
export function isActualNotFresh(
  listening: Streak | undefined,
  nowMs: number,
  settings: PolicySettings,
): boolean {
  if (listening === undefined || isGap(listening, nowMs, settings)) return true;
  return nowMs - listening.sinceMs < settings.dropletLostMs;
}

/** Ingestors may be silent for so long. */
export function listeningGapMs({ dropletLostMs }: PolicySettings): number {
  return dropletLostMs / 3;
}

/**
 * When a DEA that was heard then may have spoken last. Where something may have been lost since (`lossPossibleUntilMs`), it may have spoken
 * once more: a heartbeat comes within a third of `droplet_lost`. If it was cut off right after that, nothing else will tell.
 */
export function latestPossibleHeartbeatMs(
  lastHeartbeatMs: number,
  lossPossibleUntilMs: number | undefined,
  { dropletLostMs }: PolicySettings,
): number {
  if (lossPossibleUntilMs === undefined || lossPossibleUntilMs <= lastHeartbeatMs) return lastHeartbeatMs;
  return Math.min(lossPossibleUntilMs, lastHeartbeatMs + dropletLostMs / 3);
}

/**
 * Whether silence since then is no loss yet, as far as is known: what DEAs say counts for `droplet_lost`, and is known until
 * `heartbeatWatermarkMs`; beyond that an ingestor may have it in hand.
 */
export function isLossUnconfirmed(
  lastHeartbeatMs: number,
  { heartbeatWatermarkMs, lossPossibleUntilMs }: Pick<Holds, 'heartbeatWatermarkMs' | 'lossPossibleUntilMs'>,
  settings: PolicySettings,
): boolean {
  if (heartbeatWatermarkMs === undefined) return true;
  return (
    heartbeatWatermarkMs - latestPossibleHeartbeatMs(lastHeartbeatMs, lossPossibleUntilMs, settings) <=
    settings.dropletLostMs
  );
}

function isGap({ untilMs }: Streak, nowMs: number, settings: PolicySettings): boolean {
  return nowMs - untilMs > listeningGapMs(settings);
}

/**
 * Whether `desired_unavailable` is on.
 *
 * @param lastPassMs when the last complete pass succeeded; absent before the first
 */
export function isDesiredUnavailable(
  lastPassMs: number | undefined,
  nowMs: number,
  settings: PolicySettings,
): boolean {
  return lastPassMs === undefined || nowMs - lastPassMs > settings.desiredStateLostMs;
}
