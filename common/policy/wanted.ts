/** What the controller wants: which slots should have an instance, and when they should have had it. */
import type { Droplet, Holds } from '../model/droplet.ts';
import type { PolicySettings } from './settings.ts';

/** Indices are 0..65535 on the wire, so no slot beyond can ever be filled. */
const MOST_INDICES = 65_536;

/** Whether the controller wants anything of the droplet: it was listed, and no complete pass has missed it since. */
export function isDesired(droplet: Droplet): boolean {
  return droplet.desired !== undefined && droplet.goneMs === undefined;
}

/** How many indices of the live version are wanted: 0 unless the droplet is desired, STARTED and STAGED. */
export function wantedIndices(droplet: Droplet): number {
  return isDesired(droplet) ? indicesOf(droplet) : 0;
}

/** Whether the slot of the live version at `index` is wanted. */
export function isWanted(droplet: Droplet, index: number): boolean {
  return index < wantedIndices(droplet);
}

/**
 * Whether the slot is wanted by the desired state last known. A crash or an evacuation is acted on under every
 * hold: while `mass_delete` doubts that the droplet is gone, it counts as wanted for them as it was.
 */
export function isWantedIgnoringMassDelete(droplet: Droplet, index: number, holds: Holds): boolean {
  if (droplet.goneMs !== undefined && !holds.massDelete) return false;
  return index < indicesOf(droplet);
}

function indicesOf({ desired }: Droplet): number {
  if (desired === undefined || desired.state !== 'STARTED' || desired.packageState !== 'STAGED') return 0;
  return Math.min(desired.instances, MOST_INDICES);
}

/**
 * When a slot of the live version will have had, or had, its time (epoch ms): `droplet_lost` after the droplet
 * was first seen, after its last update, and after the last exit with STOPPED of an instance at this slot.
 */
export function graceEndsMs(droplet: Droplet, index: number, settings: PolicySettings): number {
  let since = Math.max(droplet.firstSeenMs, droplet.updatedMs ?? 0);
  for (const exit of droplet.exits) {
    if (exit.reason !== 'STOPPED' || exit.index !== index || exit.version !== droplet.desired?.version)
      continue;
    if (exit.atMs > since) since = exit.atMs;
  }
  return since + settings.dropletLostMs;
}

/**
 * Since when the droplet is out of the desired state (epoch ms), or undefined if it is in it: when it was last
 * listed, or when it was first heard of if it never was. An entry that is listed but cannot be read counts as listed.
 */
export function notDesiredSinceMs(droplet: Droplet): number | undefined {
  if (droplet.goneMs !== undefined) return droplet.goneMs;
  return droplet.desired === undefined && droplet.listedMs === undefined ? droplet.firstSeenMs : undefined;
}

/** Whether a complete pass that began after `notDesiredSinceMs` did not list the droplet. */
export function missedByPass(droplet: Droplet, holds: Holds): boolean {
  if (droplet.goneMs !== undefined) return true;
  return holds.lastPassBegunMs !== undefined && holds.lastPassBegunMs > droplet.firstSeenMs;
}
