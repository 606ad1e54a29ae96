/** The holds `actual_not_fresh` and `desired_unavailable`: how current the actual state and the desired state are. */
import type { Holds } from '../../model/droplet.ts';
import type { PolicySettings } from '../settings.ts';
import { heartbeatPeriodMs, watermarkGapMs } from '../thresholds.ts';
import { listeningTimeMs } from './listening-time.ts';

/** A time in which something was done again and again without a gap: its start and the last time so far (epoch ms). */
export interface Streak {
  sinceMs: number;
  untilMs: number;
}

/**
 * Extends the streak to `nowMs`, or starts a new one after a gap. Ingestors do so with each watermark, ticks with each
 * evaluation of `mass_loss`.
 *
 * @param gapMs a longer pause is a gap
 */
export function extendStreak(before: Streak | undefined, nowMs: number, gapMs: number): Streak {
  if (before === undefined || nowMs - before.untilMs > gapMs) return { sinceMs: nowMs, untilMs: nowMs };
  return { sinceMs: before.sinceMs, untilMs: Math.max(nowMs, before.untilMs) };
}

/**
 * Whether `actual_not_fresh` is on: no ingestor has received heartbeats for `droplet_lost` without a gap.
 *
 * @param ingested the streak of all ingestors' watermarks; undefined before the first
 */
export function isActualNotFresh(
  ingested: Streak | undefined,
  nowMs: number,
  settings: PolicySettings,
): boolean {
  if (ingested === undefined || nowMs - ingested.untilMs > watermarkGapMs(settings)) return true;
  return nowMs - ingested.sinceMs < settings.dropletLostMs;
}

/**
 * When a DEA may have sent its last heartbeat, given the last one received. If heartbeats may have been lost since then
 * (`lossPossibleUntilMs`), the DEA may have sent one more, within a heartbeat period. If the DEA was cut off right after that,
 * no other message shows it.
 */
export function latestPossibleHeartbeatMs(
  lastHeartbeatMs: number,
  lossPossibleUntilMs: number | undefined,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): number {
  if (lossPossibleUntilMs === undefined || lossPossibleUntilMs <= lastHeartbeatMs) return lastHeartbeatMs;
  return Math.min(lossPossibleUntilMs, lastHeartbeatMs + heartbeatPeriodMs(settings));
}

/**
 * Whether a DEA's silence since `lastHeartbeatMs` does not prove its loss yet. Silence is only proved up to the watermark:
 * an ingestor may hold a later heartbeat that it has not stored. A gap proves nothing.
 */
export function isLossUnconfirmed(
  lastHeartbeatMs: number,
  {
    heartbeatWatermarkMs,
    lossPossibleUntilMs,
    listeningGaps,
  }: Pick<Holds, 'heartbeatWatermarkMs' | 'lossPossibleUntilMs' | 'listeningGaps'>,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): boolean {
  if (heartbeatWatermarkMs === undefined) return true;
  const latestMs = latestPossibleHeartbeatMs(lastHeartbeatMs, lossPossibleUntilMs, settings);
  return listeningTimeMs(latestMs, heartbeatWatermarkMs, listeningGaps) <= settings.dropletLostMs;
}

/**
 * Whether `desired_unavailable` is on.
 *
 * @param lastPassMs when the last complete pass succeeded; undefined before the first
 */
export function isDesiredUnavailable(
  lastPassMs: number | undefined,
  nowMs: number,
  settings: PolicySettings,
): boolean {
  return lastPassMs === undefined || nowMs - lastPassMs > settings.desiredStateLostMs;
}
