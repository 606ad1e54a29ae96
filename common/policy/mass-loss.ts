/**
 * The hold `mass_loss`: so many DEAs silent at once are more likely a cut-off network than as many dead hosts.
 *
 *     off --(enough counted DEAs late)--> on --(heard again for a third of droplet_lost)--> off
 *                                         on --(after `hold` seconds, or an operator)-----> off, and those that
 *                                              were waited for count as dead until they are heard
 */
import type { Streak } from './freshness.ts';
import type { PolicySettings } from './settings.ts';

/** What the hold needs to know of a DEA. */
export interface DeaFacts {
  guid: string;
  lastHeartbeatMs: number;
  /** Its last list has an instance that has not exited since: it should still run something. */
  runsSomething: boolean;
  /** It said `dea.shutdown`. */
  shutdown: boolean;
}

/** State of the hold. It is on while `sinceMs` is there. Plain data, to be kept between evaluations. */
export interface MassLoss {
  sinceMs?: number;
  /** The counted late DEAs; empty while off. */
  lateDeas: string[];
  /** While on: since when the share of late DEAs has been too small to raise it. */
  belowSinceMs?: number;
  /** The DEAs that were late then are not counted until they are heard: a hold has ended with them. */
  acceptedMs?: number;
}

export const NO_MASS_LOSS: MassLoss = { lateDeas: [] };

/** Ticks come every second, and on a busy machine late: with a short `droplet_lost` a third of it would be too strict. */
const THREE_TICKS_MS = 3_000;

/** Judgements may be so far apart and still count as going on. */
export function evaluationGapMs({ dropletLostMs }: PolicySettings): number {
  return Math.max(dropletLostMs / 3, THREE_TICKS_MS);
}

/** Judged without a gap for as long as hosts that come back take to be heard, as spread as they went. */
export function isEvaluatedLongEnough(
  { sinceMs, untilMs }: Streak,
  { dropletLostMs }: PolicySettings,
): boolean {
  return untilMs - sinceMs >= dropletLostMs / 3;
}

/** The next state of the hold. Every DEA that is still known must be among `deas`. */
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
  if (nowMs - belowSinceMs >= settings.dropletLostMs / 3) return { ...accepted, lateDeas: [] };
  return { ...accepted, sinceMs: previous.sinceMs, lateDeas: late, belowSinceMs };
}

/**
 * The time of the hold is over: the DEAs that have been silent since before it began count as dead until they are heard.
 * Those that fell silent later, perhaps while no analyzer ran to see it, nobody has waited for: they are judged anew.
 */
function expired(sinceMs: number, settings: PolicySettings): MassLoss {
  return { lateDeas: [], acceptedMs: sinceMs + lateAfterMs(settings) };
}

/** A DEA that has been silent for longer is late. */
function lateAfterMs({ dropletLostMs }: PolicySettings): number {
  return (dropletLostMs * 2) / 3;
}

/** An operator ends the hold: the DEAs that are late now count as dead until they are heard. */
export function releaseMassLoss(previous: MassLoss, nowMs: number): MassLoss {
  return previous.sinceMs === undefined ? previous : { lateDeas: [], acceptedMs: nowMs };
}

/**
 * Counted are the DEAs heard in the last `3 * droplet_lost` that should still run something; and while the hold is
 * on, those that it counts as late stay counted until they are heard, also when they are forgotten meanwhile.
 */
function count(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  nowMs: number,
  settings: PolicySettings,
): { late: string[]; counted: number } {
  const lateMs = lateAfterMs(settings);
  const wereLate = new Set(previous.lateDeas);
  const late: string[] = [];
  let counted = 0;
  for (const dea of deas) {
    const wasLate = wereLate.delete(dea.guid);
    if (dea.shutdown) continue;
    const isLate = nowMs - dea.lastHeartbeatMs > lateMs;
    if (isLate && wasLate) {
      late.push(dea.guid);
      counted++;
      continue;
    }
    if (!dea.runsSomething || nowMs - dea.lastHeartbeatMs > 3 * settings.dropletLostMs) continue;
    if (isLate && previous.acceptedMs !== undefined && dea.lastHeartbeatMs < previous.acceptedMs - lateMs)
      continue;
    counted++;
    if (isLate) late.push(dea.guid);
  }
  late.push(...wereLate);
  return { late, counted: counted + wereLate.size };
}
