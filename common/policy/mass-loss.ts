/**
 * The hold `mass_loss`: so many DEAs silent at once are more likely a cut-off network than as many dead hosts.
 *
 *     off --(enough counted DEAs late)--> on --(heard again for a third of droplet_lost)--> off
 *                                         on --(after `hold` seconds, or an operator)-----> off, and those that
 *                                              are late then count as dead until they are heard
 */
import type { PolicySettings } from './settings.ts';

/** What the hold needs to know of a DEA. */
export interface DeaFacts {
  guid: string;
  heardMs: number;
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
  /** When the hold last ended with DEAs still late: these are not counted until they are heard. */
  acceptedMs?: number;
}

export const NO_MASS_LOSS: MassLoss = { lateDeas: [] };

/** The next state of the hold. Every DEA that is still known must be among `deas`. */
export function nextMassLoss(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  now: number,
  settings: PolicySettings,
): MassLoss {
  if (previous.sinceMs !== undefined && now - previous.sinceMs >= settings.massLoss.holdMs) {
    return releaseMassLoss(previous, now);
  }
  const { late, counted } = count(previous, deas, now, settings);
  const { minimumDeas, fraction } = settings.massLoss;
  const above = late.length >= minimumDeas && late.length >= fraction * counted;
  const accepted = previous.acceptedMs === undefined ? {} : { acceptedMs: previous.acceptedMs };
  if (above) return { ...accepted, sinceMs: previous.sinceMs ?? now, lateDeas: late };
  if (previous.sinceMs === undefined) return { ...accepted, lateDeas: [] };
  const belowSinceMs = previous.belowSinceMs ?? now;
  if (now - belowSinceMs >= settings.dropletLostMs / 3) return { ...accepted, lateDeas: [] };
  return { ...accepted, sinceMs: previous.sinceMs, lateDeas: late, belowSinceMs };
}

/** An operator ends the hold, or its time is over: the DEAs that are late now count as dead until they are heard. */
export function releaseMassLoss(previous: MassLoss, now: number): MassLoss {
  return previous.sinceMs === undefined ? previous : { lateDeas: [], acceptedMs: now };
}

/**
 * Counted are the DEAs heard in the last `3 * droplet_lost` that should still run something; and while the hold is
 * on, those that it counts as late stay counted until they are heard, also when they are forgotten meanwhile.
 */
function count(
  previous: MassLoss,
  deas: Iterable<DeaFacts>,
  now: number,
  settings: PolicySettings,
): { late: string[]; counted: number } {
  const lateAfterMs = (settings.dropletLostMs * 2) / 3;
  const wereLate = new Set(previous.lateDeas);
  const late: string[] = [];
  let counted = 0;
  for (const dea of deas) {
    const wasLate = wereLate.delete(dea.guid);
    if (dea.shutdown) continue;
    const isLate = now - dea.heardMs > lateAfterMs;
    if (isLate && wasLate) {
      late.push(dea.guid);
      counted++;
      continue;
    }
    if (!dea.runsSomething || now - dea.heardMs > 3 * settings.dropletLostMs) continue;
    if (isLate && previous.acceptedMs !== undefined && dea.heardMs < previous.acceptedMs - lateAfterMs)
      continue;
    counted++;
    if (isLate) late.push(dea.guid);
  }
  late.push(...wereLate);
  return { late, counted: counted + wereLate.size };
}
