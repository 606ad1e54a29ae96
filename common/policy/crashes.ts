import type { DeaLiveness, Droplet } from '../model/droplet.ts';
import { lastHeartbeatMs } from './liveness.ts';
import type { PolicySettings } from './settings.ts';

/** A crash as a status query shows it. */
export interface Crash {
  /** Guid of the instance that crashed, or of the one as which its DEA goes on to list it. */
  instance: string;
  index: number;
  version: string;
  /** Epoch seconds: the exit's `crash_timestamp`, or the `state_timestamp` of the CRASHED instance. */
  sinceS: number;
}

/**
 * The crash records of a droplet (policy: flapping): exits with CRASHED, and instances that are listed as CRASHED,
 * both until `flapping_timeout` after they were last heard of.
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
  for (const { instance, index, version, reason, atMs, crashTimestampS } of droplet.exits) {
    if (reason !== 'CRASHED' || nowMs - atMs > flappingTimeoutMs) continue;
    crashes.set(instance, { instance, index, version, sinceS: crashTimestampS ?? Math.floor(atMs / 1000) });
  }
  return [...crashes.values()];
}
