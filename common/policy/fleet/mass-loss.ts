/**
 * The hold `mass_loss`: when many DEAs fall silent at once, a network failure is more likely than as many dead hosts.
 *
 *     off --(enough counted DEAs late)-------------------------> on
 *     on  --(too few late for a third of `droplet_lost`)-------> off
 *     on  --(after `hold` seconds, or released by an operator)-> off; the late DEAs count as dead until their next heartbeat
 *
 * All times are listening times: while no ingestor listens, no DEA becomes late and the hold's time does not run.
 */
import type { DeaLiveness, ListeningGap } from '../../model/droplet.ts';
import type { PolicySettings } from '../settings.ts';
import {
  evaluationGapMs,
  evaluationSettlesMs,
  lateAfterMs,
  massLossCountsMs,
  massLossEndsMs,
} from '../thresholds.ts';
import { extendStreak, type Streak } from './freshness.ts';
import { listenedAgoMs, listeningTimeMs } from './listening-time.ts';

export interface DeaFacts extends DeaLiveness {
  guid: string;
  /** An instance on it is at a wanted slot and has not exited, so it should still run something. */
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
  /** A hold has ended with DEAs still late: those whose last heartbeat was before this time are not counted until the next. */
  acceptedBeforeMs?: number;
}

export const NO_MASS_LOSS: MassLoss = { lateDeas: [] };

/** Whether `mass_loss` has been evaluated long enough, without a gap, that every reconnected DEA has sent a heartbeat. */
function isEvaluatedLongEnough(
  { sinceMs, untilMs }: Streak,
  gaps: readonly ListeningGap[] | undefined,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): boolean {
  return listeningTimeMs(sinceMs, untilMs, gaps) >= evaluationSettlesMs(settings);
}

/** When ticks have evaluated `mass_loss`. */
export interface Evaluated extends Streak {
  /** The last evaluation before the last gap (ms). */
  beforeGapMs?: number;
}

/** @param before nothing, or what somebody edited so that it is no number, begins anew */
export function extendEvaluated(
  before: Evaluated | undefined,
  nowMs: number,
  settings: PolicySettings,
): Evaluated {
  if (before === undefined || !Number.isFinite(before.sinceMs) || !Number.isFinite(before.untilMs))
    return { sinceMs: nowMs, untilMs: nowMs };
  const next = extendStreak(before, nowMs, evaluationGapMs(settings));
  const isGap = next.sinceMs > before.untilMs;
  const beforeGapMs = isGap ? before.untilMs : before.beforeGapMs;
  return beforeGapMs !== undefined && Number.isFinite(beforeGapMs) ? { ...next, beforeGapMs } : next;
}

/**
 * A DEA that was lost at this time (ms), and has been silent since, is lost alone: `mass_loss` has counted all that were cut off
 * with it. Undefined if nothing of that is known yet.
 *
 * - `mass_loss` was evaluated without a gap for as long as all DEAs take that are back: the latest evaluation.
 * - Else the evaluation before the gap, if it is that long ago. DEAs that were cut off together were all late then, and those
 *   that are back since have sent a heartbeat. A Redis that is late by seconds makes a gap after each evaluation.
 */
export function lossesEvaluatedMs(
  evaluated: Evaluated,
  gaps: readonly ListeningGap[] | undefined,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): number | undefined {
  if (isEvaluatedLongEnough(evaluated, gaps, settings)) return evaluated.untilMs;
  const { beforeGapMs, untilMs } = evaluated;
  if (beforeGapMs === undefined) return undefined;
  return listeningTimeMs(beforeGapMs, untilMs, gaps) >= evaluationSettlesMs(settings)
    ? beforeGapMs
    : undefined;
}

/**
 * The next state of the hold.
 *
 * @param deas every DEA that has not expired
 * @param gaps in which no ingestor listened, oldest first
 */
export function nextMassLoss(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  nowMs: number,
  gaps: readonly ListeningGap[] | undefined,
  settings: PolicySettings,
): MassLoss {
  const { sinceMs } = previous;
  if (sinceMs !== undefined && listeningTimeMs(sinceMs, nowMs, gaps) >= settings.massLoss.holdMs)
    return nextMassLoss(expired(sinceMs), deas, nowMs, gaps, settings);
  const { late, counted } = count(previous, deas, cutoffs(nowMs, gaps, settings));
  const above = isEnough(late.length, counted, settings);
  const accepted =
    previous.acceptedBeforeMs === undefined ? {} : { acceptedBeforeMs: previous.acceptedBeforeMs };
  if (above) return { ...accepted, sinceMs: previous.sinceMs ?? nowMs, lateDeas: late };
  if (previous.sinceMs === undefined) return { ...accepted, lateDeas: [] };
  const belowSinceMs = previous.belowSinceMs ?? nowMs;
  if (listeningTimeMs(belowSinceMs, nowMs, gaps) >= massLossEndsMs(settings))
    return { ...accepted, lateDeas: [] };
  return { ...accepted, sinceMs: previous.sinceMs, lateDeas: late, belowSinceMs };
}

/** Whether that many late DEAs, of those that are counted, raise the hold. */
export function isEnough(late: number, counted: number, { massLoss }: PolicySettings): boolean {
  return late >= massLoss.minimumDeas && late >= massLoss.fraction * counted;
}

/** The times (epoch ms) with which last heartbeats are compared. */
export interface MassLossCutoffs {
  /** A DEA is late if its last heartbeat was before. */
  lateBeforeMs: number;
  /** A DEA is counted only if its last heartbeat was not before. */
  countedFromMs: number;
}

export function cutoffs(
  nowMs: number,
  gaps: readonly ListeningGap[] | undefined,
  settings: PolicySettings,
): MassLossCutoffs {
  return {
    lateBeforeMs: listenedAgoMs(nowMs, lateAfterMs(settings), gaps),
    countedFromMs: listenedAgoMs(nowMs, massLossCountsMs(settings), gaps),
  };
}

/** Whether a DEA is late and is counted if it should still run something. */
export function isCountedIfLate(
  { lastHeartbeatMs, shutdown }: Pick<DeaFacts, 'lastHeartbeatMs' | 'shutdown'>,
  { acceptedBeforeMs = Number.NEGATIVE_INFINITY }: MassLoss,
  { lateBeforeMs, countedFromMs }: MassLossCutoffs,
): boolean {
  if (shutdown || lastHeartbeatMs >= lateBeforeMs || lastHeartbeatMs < countedFromMs) return false;
  return lastHeartbeatMs >= acceptedBeforeMs;
}

/**
 * The hold has lasted `hold` seconds. DEAs that were late when it began count as dead until their next heartbeat. DEAs that
 * fell silent later, perhaps while no analyzer ran, have not been waited for: they are counted anew.
 */
function expired(sinceMs: number): MassLoss {
  return { lateDeas: [], acceptedBeforeMs: sinceMs };
}

/** An operator ends the hold: the DEAs that are late now count as dead until their next heartbeat. */
export function releaseMassLoss(
  previous: MassLoss,
  nowMs: number,
  gaps: readonly ListeningGap[] | undefined,
  settings: PolicySettings,
): MassLoss {
  if (previous.sinceMs === undefined) return previous;
  return { lateDeas: [], acceptedBeforeMs: cutoffs(nowMs, gaps, settings).lateBeforeMs };
}

/**
 * Counted are the DEAs that should still run something and have not been silent for too long. While the hold is on, its late
 * DEAs stay counted until their next heartbeat, even if they are forgotten meanwhile.
 */
function count(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  { lateBeforeMs, countedFromMs }: MassLossCutoffs,
): { late: string[]; counted: number } {
  const { acceptedBeforeMs = Number.NEGATIVE_INFINITY } = previous;
  const wereLate = new Set(previous.lateDeas);
  const late: string[] = [];
  let counted = 0;
  for (const dea of deas) {
    const wasLate = wereLate.delete(dea.guid);
    if (dea.shutdown) continue;
    const isLate = dea.lastHeartbeatMs < lateBeforeMs;
    if (isLate && wasLate) {
      late.push(dea.guid);
      counted++;
      continue;
    }
    if (!dea.runsSomething || dea.lastHeartbeatMs < countedFromMs) continue;
    if (isLate && dea.lastHeartbeatMs < acceptedBeforeMs) continue;
    counted++;
    if (isLate) late.push(dea.guid);
  }
  late.push(...wereLate);
  return { late, counted: counted + wereLate.size };
}
