/** What goes out to the controller (contract: messages out). Key order as controllers have always got it. */

export interface StartMessage {
  droplet: string;
  /** `updated_at` as epoch seconds; undefined where the droplet is not desired at all. */
  updatedAtS: number | undefined;
  version: string;
  index: number;
  /** By version; those without one are left out. */
  running: Iterable<readonly [version: string, count: number]>;
  flapping: boolean;
}

export interface StopMessage {
  droplet: string;
  updatedAtS: number | undefined;
  /** Instance guid to its version. */
  instances: Iterable<readonly [instance: string, version: string]>;
  running: Iterable<readonly [version: string, count: number]>;
  /** The live version; undefined where the droplet is not desired. */
  version: string | undefined;
}

/** `fromEntries` makes `__proto__` a key like any other. */
function runningOf(running: StartMessage['running']): Record<string, number> {
  return Object.fromEntries([...running].filter(([, count]) => count > 0));
}

function lastUpdated(updatedAtS: number | undefined): number | null {
  return updatedAtS === undefined ? null : Math.floor(updatedAtS);
}

/** The payload of `health.start`. Newer controllers refuse more than one index. */
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

/** The payload of `health.stop`. */
export function stopMessage(stop: StopMessage): string {
  return JSON.stringify({
    droplet: stop.droplet,
    last_updated: lastUpdated(stop.updatedAtS),
    instances: Object.fromEntries(stop.instances),
    running: runningOf(stop.running),
    version: stop.version ?? null,
  });
}
