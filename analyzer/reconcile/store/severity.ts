import type { Droplet, Slot } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { graceEndsMs, versionGraceEndsMs, wantedIndices } from '../../../common/policy/slots/wanted.ts';
import { isQuiet } from '../../decide/decision.ts';
import type { Evaluation } from '../evaluation.ts';
import { liveIndices } from './live-indices.ts';

/** So that what is shown as running is counted without them. Below one stop. */
const EXPECTED = 0.0001;
/** The missing share counts in thousandths; among equal shares the number of missing slots decides, up to this. */
const PLACES = 1000;

/**
 * How badly off a droplet is, so that people see the worst first:
 *
 * - 0 if nothing is missing or surplus,
 * - EXPECTED if nothing is wrong, but slots without an instance are in their grace period,
 * - below 1 if only stops are pending,
 * - else ordered by the missing share of its wanted slots, then by their number.
 *
 * A slot in its grace period is not missing.
 */
export function severityOf(
  { droplet, decided, deas, nowMs, lostBeforeMs }: Evaluation,
  settings: PolicySettings,
): number {
  const { slots, stops } = decided;
  if (slots.size === 0 && stops.size === 0 && isQuiet(decided)) return 0;
  const wanted = wantedIndices(droplet);
  const live = liveIndices(droplet, deas, lostBeforeMs, settings);
  const heard = { deas, holds: { heartbeatWatermarkMs: nowMs }, settings };
  const newVersionEndsMs = versionGraceEndsMs(droplet, heard, lostBeforeMs, nowMs);
  const grace = { droplet, settings, versionGraceEndsMs: newVersionEndsMs };
  let missing = 0;
  let isExpected = false;
  for (let index = 0; index < wanted; index++) {
    if (live.has(index)) continue;
    if (isTroubled(slots.get(index), droplet) || nowMs >= graceEndsMs(grace, index)) missing++;
    else isExpected = true;
  }
  if (missing > 0) return Math.round((missing / wanted) * PLACES) * PLACES + Math.min(PLACES - 1, missing);
  if (stops.size > 0) return Math.min(PLACES - 1, stops.size) / PLACES;
  return isExpected ? EXPECTED : 0;
}

function isTroubled(slot: Slot | undefined, { desired }: Droplet): boolean {
  if (slot === undefined || slot.version !== desired?.version) return false;
  return slot.start !== undefined || slot.held !== undefined || slot.flapping;
}
