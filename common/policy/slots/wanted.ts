/** Which slots the controller wants an instance in, and since when it should be there. */
import type { Droplet, Holds, Instance } from '../../model/droplet.ts';
import { type Deas, isListed } from '../fleet/liveness.ts';
import type { PolicySettings } from '../settings.ts';
import { renameTakesMs } from '../thresholds.ts';

/** The wire has indices 0..65535, so no slot beyond can ever be filled. */
const MAX_INDICES = 65_536;

/** Whether the droplet is in the desired state: it was listed, and no complete pass has missed it since. */
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
 * Whether the slot is wanted by the last known desired state. A crash or an evacuation is acted on under every hold, so while
 * `mass_delete` is on a droplet that is gone counts as wanted as before.
 */
export function isWantedIgnoringMassDelete(droplet: Droplet, index: number, holds: Holds): boolean {
  if (droplet.goneMs !== undefined && !holds.massDelete) return false;
  return index < indicesOf(droplet);
}

function indicesOf({ desired }: Droplet): number {
  if (desired === undefined || desired.state !== 'STARTED' || desired.packageState !== 'STAGED') return 0;
  return Math.min(desired.instances, MAX_INDICES);
}

/**
 * Until when the slots of a version that has just become live are in their grace period (epoch ms); 0 if they are not.
 *
 * A controller may give an app a new version without a `droplet.updated`, as when a route is mapped. The DEAs then rename its
 * running instances in place: a new version and a new guid, no exit, and the next heartbeat lists them. So a missing slot counts
 * only once every DEA that lists an instance of the droplet, of whatever version, has sent a heartbeat since the version
 * became live. This lasts at most `droplet_lost` of listening time.
 *
 * @param lostBeforeMs what was last listed before this time is lost
 */
export function versionGraceEndsMs(
  droplet: Droplet,
  heard: Heard,
  lostBeforeMs: number,
  nowMs: number,
): number {
  const { versionSinceMs, instances } = droplet;
  if (versionSinceMs === undefined || versionSinceMs < lostBeforeMs) return 0;
  if (!instances.some((instance) => mayBeRenamed(droplet, instance, heard))) return 0;
  return nowMs + (versionSinceMs - lostBeforeMs) + 1;
}

/** What was heard of the DEAs: up to when heartbeats are stored, and up to when some of them may be lost. */
interface Heard {
  deas: Deas;
  holds: Pick<Holds, 'heartbeatWatermarkMs' | 'lossPossibleUntilMs'>;
  settings: Pick<PolicySettings, 'dropletLostMs'>;
}

/**
 * Whether no heartbeat is stored that the DEA which lists the instance has sent since it may have renamed it to the version that became
 * live. The time of a heartbeat is stored before what it lists, so it counts only up to the watermark.
 */
export function mayBeRenamed(
  { versionSinceMs }: Droplet,
  instance: Instance,
  { deas, holds: { heartbeatWatermarkMs = 0, lossPossibleUntilMs = 0 }, settings }: Heard,
): boolean {
  if (versionSinceMs === undefined || !isListed(instance) || instance.firstListedMs > versionSinceMs)
    return false;
  const sinceMs = Math.max(versionSinceMs + renameTakesMs(settings), lossPossibleUntilMs);
  const { lastHeartbeatMs = 0, isRestored, previousHeartbeatMs = 0 } = deas.get(instance.dea) ?? {};
  return ![isRestored === true ? 0 : lastHeartbeatMs, previousHeartbeatMs].some(
    (ms) => ms > sinceMs && ms <= heartbeatWatermarkMs,
  );
}

/**
 * When the grace period of a slot of the live version ends or ended (epoch ms). It is `droplet_lost` after the latest of: the
 * droplet was first seen, its last update, the last STOPPED exit at this slot; and it lasts as long as that of the version.
 *
 * @param context its `versionGraceEndsMs` is computed once for all slots
 */
export function graceEndsMs(
  {
    droplet,
    settings,
    versionGraceEndsMs,
  }: { droplet: Droplet; settings: PolicySettings; versionGraceEndsMs: number },
  index: number,
): number {
  let sinceMs = Math.max(droplet.firstSeenMs, droplet.updatedMs ?? 0);
  for (const exit of droplet.exits) {
    if (exit.reason !== 'STOPPED' || exit.index !== index || exit.version !== droplet.desired?.version)
      continue;
    if (exit.atMs > sinceMs) sinceMs = exit.atMs;
  }
  return Math.max(sinceMs + settings.dropletLostMs, versionGraceEndsMs);
}

/**
 * Since when the droplet has not been in the desired state (epoch ms), or undefined if it is in it: when it was last listed, or
 * first seen if it never was. An entry that is listed but cannot be parsed counts as listed.
 */
export function notDesiredSinceMs(droplet: Droplet): number | undefined {
  if (droplet.goneMs !== undefined) return droplet.goneMs;
  return droplet.desired === undefined && droplet.listedMs === undefined ? droplet.firstSeenMs : undefined;
}

/**
 * Whether a complete pass did not list the droplet.
 *
 * A record without a desired state may be all that is left of a listed droplet, because Redis lost the record, and a heartbeat began
 * a new one, or lost its desired state. A pass writes nothing for a page that is as before, so only a pass that wrote every entry
 * since this was found proves that there is none.
 */
export function missedByPass({ goneMs, undesiredMs }: Droplet, { lastFullPassBegunMs }: Holds): boolean {
  if (goneMs !== undefined) return true;
  return undesiredMs !== undefined && lastFullPassBegunMs !== undefined && lastFullPassBegunMs > undesiredMs;
}

/** Since when the droplet is known to have no desired state (`Droplet.undesiredMs`); undefined if it has one, or a pass may still list it. */
export function undesiredSinceMs(droplet: Droplet, holds: Holds, nowMs: number): number | undefined {
  const sinceMs = notDesiredSinceMs(droplet);
  if (sinceMs === undefined || droplet.goneMs !== undefined) return undefined;
  if (droplet.undesiredMs !== undefined) return droplet.undesiredMs;
  return holds.lastPassBegunMs !== undefined && holds.lastPassBegunMs > sinceMs ? nowMs : undefined;
}
