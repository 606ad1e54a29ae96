/**
 * The hold `mass_delete`: when many droplets are gone from one pass to the next, an empty or broken database is more likely
 * than as many deleted apps.
 *
 *     off --(a pass lists far too few)-------------------------> on
 *     on  --(a pass lists them again)--------------------------> off
 *     on  --(after `hold` seconds, or released by an operator)-> off; the latest pass is accepted
 */
import type { PolicySettings } from '../settings.ts';

/** State of the hold, kept in Redis between evaluations. The hold is on while `sinceMs` is present. */
export interface MassDelete {
  sinceMs?: number;
  /** Droplets that the last accepted pass listed; absent before the first pass. */
  accepted?: number;
  /** While on: droplets that the latest pass listed. */
  listed?: number;
  /** The hold ended by its time or an operator: running droplets that are not listed do not raise it again. */
  ended?: true;
}

/**
 * The state after a complete pass. Must be stored before that pass marks any droplet as gone. What the pass lists is compared
 * with the last accepted pass, and with the droplets that run: so the first pass of an empty Redis is protected, too.
 *
 * @param liveDroplets droplets with a live instance, as the latest audit round counted them
 */
export function massDeleteAfterPass(
  previous: MassDelete,
  listed: number,
  liveDroplets: number,
  nowMs: number,
  settings: PolicySettings,
): MassDelete {
  const { fraction, minimumDroplets } = settings.massDelete;
  const isTooFew = (baseline: number) =>
    listed < (1 - fraction) * baseline && baseline - listed >= minimumDroplets;
  const fewerThanLive = isTooFew(liveDroplets);
  const baseline = Math.max(previous.accepted ?? 0, previous.ended ? 0 : liveDroplets);
  if (!isTooFew(baseline))
    return { accepted: listed, ...(previous.ended && fewerThanLive && { ended: true }) };
  const on = { accepted: baseline, sinceMs: previous.sinceMs ?? nowMs, listed };
  return massDeleteAfter(on, nowMs, settings);
}

/** The state at `nowMs`: the hold ends after `hold` seconds. */
export function massDeleteAfter(previous: MassDelete, nowMs: number, settings: PolicySettings): MassDelete {
  if (previous.sinceMs === undefined || nowMs - previous.sinceMs < settings.massDelete.holdMs)
    return previous;
  return releaseMassDelete(previous);
}

/** Ends the hold: what the latest pass listed is accepted. */
export function releaseMassDelete(previous: MassDelete): MassDelete {
  return previous.sinceMs === undefined ? previous : { accepted: previous.listed ?? 0, ended: true };
}
