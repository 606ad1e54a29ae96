/**
 * Listening time: time in which ingestors received every heartbeat. A DEA's silence counts only then (policy: liveness), so it
 * does not grow in a gap.
 */
import type { ListeningGap } from '../../model/droplet.ts';

/** No gap lately: listening time is time. */
export const NO_GAPS: readonly ListeningGap[] = [];

/**
 * Listening time from `fromMs` to `toMs` (ms).
 *
 * @param gaps oldest first
 */
export function listeningTimeMs(
  fromMs: number,
  toMs: number,
  gaps: readonly ListeningGap[] = NO_GAPS,
): number {
  let listenedMs = 0;
  let untilMs = toMs;
  for (let n = gaps.length - 1; n >= 0 && untilMs > fromMs; n--) {
    const gap = gaps[n] as ListeningGap;
    if (gap.toMs <= fromMs) break;
    listenedMs += Math.max(0, untilMs - gap.toMs);
    untilMs = Math.min(untilMs, gap.fromMs);
  }
  return listenedMs + (gaps.length === 0 ? toMs - fromMs : Math.max(0, untilMs - fromMs));
}

/**
 * When that much listening time will have passed since `fromMs` (epoch ms), if ingestors listen from now on.
 *
 * @param gaps oldest first
 */
export function listenedAfterMs(
  fromMs: number,
  durationMs: number,
  nowMs: number,
  gaps: readonly ListeningGap[] = NO_GAPS,
): number {
  return nowMs + durationMs - listeningTimeMs(fromMs, nowMs, gaps);
}

/**
 * The earliest time from which at most `durationMs` of listening time passed until `nowMs`. A heartbeat before it is older than
 * `durationMs`. Calculate it once for a batch, and compare heartbeats with it.
 *
 * @param gaps oldest first
 */
export function listenedAgoMs(
  nowMs: number,
  durationMs: number,
  gaps: readonly ListeningGap[] = NO_GAPS,
): number {
  let untilMs = nowMs;
  let leftMs = durationMs;
  for (let n = gaps.length - 1; n >= 0; n--) {
    const gap = gaps[n] as ListeningGap;
    const listenedMs = Math.max(0, untilMs - gap.toMs);
    if (listenedMs > leftMs) break;
    leftMs -= listenedMs;
    untilMs = Math.min(untilMs, gap.fromMs);
  }
  return untilMs - leftMs;
}
