/**
 * The hold `mass_delete`: when many droplets are gone from one pass to the next, an empty or broken database is more likely
 * than as many deleted apps.
 *
 *     off --(a pass lists far too few)-------------------------> on
 *     on  --(a pass lists them again)--------------------------> off
 *     on  --(after `hold` seconds, or released by an operator)-> off; the latest pass is accepted
 */
import type { PolicySettings } from './settings.ts';

/** State of the hold, kept in Redis between evaluations. The hold is on while `sinceMs` is present. */
export interface MassDelete {
  sinceMs?: number;
  /** Droplets that the last accepted pass listed; absent before the first pass. */
  accepted?: number;
  /** While on: droplets that the latest pass listed. */
  listed?: number;
}

/** The state after a complete pass. Must be stored before that pass marks any droplet as gone. */
export function massDeleteAfterPass(
  previous: MassDelete,
  listed: number,
  nowMs: number,
  settings: PolicySettings,
): MassDelete {
  const { fraction, minimumDroplets } = settings.massDelete;
  const { accepted } = previous;
  const tooFew =
    accepted !== undefined && listed < (1 - fraction) * accepted && accepted - listed >= minimumDroplets;
  if (!tooFew) return { accepted: listed };
  return massDeleteAfter({ accepted, sinceMs: previous.sinceMs ?? nowMs, listed }, nowMs, settings);
}

/** The state at `nowMs`: the hold ends after `hold` seconds. */
export function massDeleteAfter(previous: MassDelete, nowMs: number, settings: PolicySettings): MassDelete {
  if (previous.sinceMs === undefined || nowMs - previous.sinceMs < settings.massDelete.holdMs)
    return previous;
  return releaseMassDelete(previous);
}

/** Ends the hold: what the latest pass listed is accepted. */
export function releaseMassDelete(previous: MassDelete): MassDelete {
  return previous.sinceMs === undefined ? previous : { accepted: previous.listed ?? 0 };
}
