import type { DeaLiveness, Droplet } from '../../model/droplet.ts';
import { lastHeartbeatMs } from '../fleet/liveness.ts';
import type { PolicySettings } from '../settings.ts';

/** A crash as a status query shows it. */
export interface Crash {
  /** Guid of the crashed instance, or the new guid under which some DEAs list it after the crash. */
  instance: string;
  index: number;
  version: string;
  /** Epoch seconds: the exit's `crash_timestamp`, or the `state_timestamp` of the CRASHED instance. */
  sinceS: number;
  /** As the DEA reported its exit. */
  status?: number;
  description?: string;
}

/**
 * The crash records of a droplet (policy: flapping): exits with CRASHED until `flapping_timeout` after their receipt, and
 * instances listed as CRASHED until `flapping_timeout` after their last heartbeat.
 */
export function crashesOf(
  droplet: Droplet,
  deas: ReadonlyMap<string, DeaLiveness>,
  nowMs: number,
  { flappingTimeoutMs }: Pick<PolicySettings, 'flappingTimeoutMs'>,
): Crash[] {
  const crashes = new Map<string, Crash>();
  for (const instance of droplet.instances) {
    if (instance.state !== 'CRASHED' || nowMs - lastHeartbeatMs(instance, deas) > flappingTimeoutMs) continue;
    const { guid, index, version, stateTimestampS } = instance;
    crashes.set(guid, { instance: guid, index, version, sinceS: stateTimestampS });
  }
  for (const exit of droplet.exits) {
    const { instance, index, version, reason, atMs, crashTimestampS, status, description } = exit;
    if (reason !== 'CRASHED' || nowMs - atMs > flappingTimeoutMs) continue;
    crashes.set(instance, {
      ...{ instance, index, version, sinceS: crashTimestampS ?? Math.floor(atMs / 1000) },
      ...(status !== undefined && { status }),
      ...(description !== undefined && { description }),
    });
  }
  return [...crashes.values()];
}
