/**
 * The hold `mass_loss`: when many DEAs fall silent at once, a network failure is more likely than as many dead hosts.
 *
 *     off --(enough counted DEAs late)-------------------------> on
 *     on  --(too few late for a third of `droplet_lost`)-------> off
 *     on  --(after `hold` seconds, or released by an operator)-> off; the late DEAs count as dead until their next heartbeat
 */
import type { Streak } from './freshness.ts';
import type { PolicySettings } from './settings.ts';
import { evaluationSettlesMs, lateAfterMs, massLossCountsMs, massLossEndsMs } from './thresholds.ts';

export interface DeaFacts {
  guid: string;
  lastHeartbeatMs: number;
  /** Its last list has an instance that has not exited since, so it should still run something. */
  runsSomething: boolean;
  /** It sent `dea.shutdown`. */
  shutdown: boolean;
}

/** State of the hold, kept in Redis between evaluations. The hold is on while `sinceMs` is present. */
export interface MassLoss {
  sinceMs?: number;
  /** Guids of the counted late DEAs; empty while off. */
  lateDeas: string[];
  /** While on: since when too few DEAs have been late to raise it. */
  belowSinceMs?: number;
  /** A hold has ended with DEAs still late: those that were late at this time are not counted until their next heartbeat. */
  acceptedMs?: number;
}

export const NO_MASS_LOSS: MassLoss = { lateDeas: [] };

/** Whether `mass_loss` has been evaluated long enough, without a gap, that every reconnected DEA has sent a heartbeat. */
export function isEvaluatedLongEnough({ sinceMs, untilMs }: Streak, settings: PolicySettings): boolean {
  return untilMs - sinceMs >= evaluationSettlesMs(settings);
}

/** The next state of the hold. `deas` must contain every DEA that is not forgotten. */
export function nextMassLoss(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  nowMs: number,
  settings: PolicySettings,
): MassLoss {
  if (previous.sinceMs !== undefined && nowMs - previous.sinceMs >= settings.massLoss.holdMs) {
    return nextMassLoss(expired(previous.sinceMs, settings), deas, nowMs, settings);
  }
  const { late, counted } = count(previous, deas, nowMs, settings);
  const { minimumDeas, fraction } = settings.massLoss;
  const above = late.length >= minimumDeas && late.length >= fraction * counted;
  const accepted = previous.acceptedMs === undefined ? {} : { acceptedMs: previous.acceptedMs };
  if (above) return { ...accepted, sinceMs: previous.sinceMs ?? nowMs, lateDeas: late };
  if (previous.sinceMs === undefined) return { ...accepted, lateDeas: [] };
  const belowSinceMs = previous.belowSinceMs ?? nowMs;
  if (nowMs - belowSinceMs >= massLossEndsMs(settings)) return { ...accepted, lateDeas: [] };
  return { ...accepted, sinceMs: previous.sinceMs, lateDeas: late, belowSinceMs };
}

/**
 * The hold has lasted `hold` seconds. DEAs that were late when it began count as dead until their next heartbeat. DEAs that
 * fell silent later, perhaps while no analyzer ran, have not been waited for: they are counted anew.
 */
function expired(sinceMs: number, settings: PolicySettings): MassLoss {
  return { lateDeas: [], acceptedMs: sinceMs + lateAfterMs(settings) };
}

/** An operator ends the hold: the DEAs that are late now count as dead until their next heartbeat. */
export function releaseMassLoss(previous: MassLoss, nowMs: number): MassLoss {
  return previous.sinceMs === undefined ? previous : { lateDeas: [], acceptedMs: nowMs };
}

/**
 * Counted are the DEAs that should still run something and have not been silent for too long. While the hold is on, its late
 * DEAs stay counted until their next heartbeat, even if they are forgotten meanwhile.
 */
function count(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  nowMs: number,
  settings: PolicySettings,
): { late: string[]; counted: number } {
  const lateMs = lateAfterMs(settings);
  const countsMs = massLossCountsMs(settings);
  const wereLate = new Set(previous.lateDeas);
  const late: string[] = [];
  let counted = 0;
  for (const dea of deas) {
    const wasLate = wereLate.delete(dea.guid);
    if (dea.shutdown) continue;
    const silentMs = nowMs - dea.lastHeartbeatMs;
    const isLate = silentMs > lateMs;
    if (isLate && wasLate) {
      late.push(dea.guid);
      counted++;
      continue;
    }
    if (!dea.runsSomething || silentMs > countsMs) continue;
    if (isLate && previous.acceptedMs !== undefined && dea.lastHeartbeatMs < previous.acceptedMs - lateMs)
      continue;
    counted++;
    if (isLate) late.push(dea.guid);
  }
  late.push(...wereLate);
  return { late, counted: counted + wereLate.size };
}
