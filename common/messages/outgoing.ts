/** The messages to the controller (contract: messages out). Their keys are in the order that HM 2.0 had. */

export interface StartMessage {
  droplet: string;
  /** `updated_at` as epoch seconds; undefined if the droplet is not desired. */
  updatedAtS: number | undefined;
  version: string;
  index: number;
  /** RUNNING instances by version; versions with none are left out. */
  running: Iterable<readonly [version: string, count: number]>;
  flapping: boolean;
}

export interface StopMessage {
  droplet: string;
  updatedAtS: number | undefined;
  /** The instance to stop and its version. One a message. */
  instances: readonly [readonly [instance: string, version: string]];
  /** The index of that instance. `health.stop` has no field for it. */
  index: number;
  running: Iterable<readonly [version: string, count: number]>;
  /** The live version; undefined if the droplet is not desired. */
  version: string | undefined;
}

/** With `fromEntries` a version may be `__proto__`. */
function runningOf(running: StartMessage['running']): Record<string, number> {
  return Object.fromEntries([...running].filter(([, count]) => count > 0));
}

function lastUpdated(updatedAtS: number | undefined): number | null {
  return updatedAtS === undefined ? null : Math.floor(updatedAtS);
}

/** Payload of `health.start`. One index a message, because newer controllers refuse more. */
export function startMessage(start: StartMessage): string {
  return JSON.stringify({
    droplet: start.droplet,
    last_updated: lastUpdated(start.updatedAtS),
    version: start.version,
    indices: [start.index],
    running: runningOf(start.running),
    flapping: start.flapping,
  });
}

/** Payload of `health.stop`. */
export function stopMessage(stop: StopMessage): string {
  return JSON.stringify({
    droplet: stop.droplet,
    last_updated: lastUpdated(stop.updatedAtS),
    instances: Object.fromEntries(stop.instances),
    running: runningOf(stop.running),
    version: stop.version ?? null,
  });
}
