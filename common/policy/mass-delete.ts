/**
 * The hold `mass_delete`: so many droplets gone from one pass to the next are more likely an empty or broken
 * database than as many deleted apps.
 *
 *     off --(a pass lists far too few)--> on --(a pass lists them again)-------------> off
 *                                         on --(after `hold` seconds, or an operator)-> off, the last pass is accepted
 */
import type { PolicySettings } from './settings.ts';

/** State of the hold. It is on while `sinceMs` is there. Plain data, to be kept between evaluations. */
export interface MassDelete {
  sinceMs?: number;
  /** How many droplets the last accepted pass listed; absent before the first pass. */
  accepted?: number;
  /** While on: how many the latest pass listed. */
  listed?: number;
}

/** After a complete pass. To be stored before any droplet is marked as gone by that pass. */
export function massDeleteAfterPass(
  previous: MassDelete,
  listed: number,
  nowMs: number,
  settings: PolicySettings,
): MassDelete {
  const { fraction, minimumDroplets } = settings.massDelete;
  const { accepted } = previous;
  const doubtful =
    accepted !== undefined && listed < (1 - fraction) * accepted && accepted - listed >= minimumDroplets;
  if (!doubtful) return { accepted: listed };
  return massDeleteAfter({ accepted, sinceMs: previous.sinceMs ?? nowMs, listed }, nowMs, settings);
}

/** As time passes: the hold ends after its time. */
export function massDeleteAfter(previous: MassDelete, nowMs: number, settings: PolicySettings): MassDelete {
  if (previous.sinceMs === undefined || nowMs - previous.sinceMs < settings.massDelete.holdMs)
    return previous;
  return releaseMassDelete(previous);
}

/** An operator ends the hold, or its time is over: what the latest pass lists is believed. */
export function releaseMassDelete(previous: MassDelete): MassDelete {
  return previous.sinceMs === undefined ? previous : { accepted: previous.listed ?? 0 };
}
