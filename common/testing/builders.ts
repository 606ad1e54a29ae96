/** Builders for tests: a healthy deployment at `NOW`. Each test overrides only what it tests. */
import type {
  DeaLiveness,
  Desired,
  Droplet,
  Exit,
  Holds,
  Instance,
  Outcome,
  PendingStop,
  Slot,
} from '../model/droplet.ts';
import type { OperatorHold } from '../model/operator-hold.ts';
import type { PolicySettings } from '../policy/settings.ts';

export const SECOND = 1000;
export const NOW = 1_400_000_000_000;
export const LOST = 30 * SECOND;

/** The defaults of the configuration. */
export const SETTINGS: PolicySettings = {
  dropletLostMs: LOST,
  desiredStateLostMs: 180 * SECOND,
  flappingDeath: 1,
  flappingTimeoutMs: 500 * SECOND,
  minRestartDelayMs: 60 * SECOND,
  maxRestartDelayMs: 480 * SECOND,
  delayTimeNoiseMs: 5 * SECOND,
  giveupCrashNumber: 4,
  probeCrashedApps: false,
  dropletsAnalysisMs: 20 * SECOND,
  dropletGcMs: 300 * SECOND,
  dropletGcGraceMs: 240 * SECOND,
  massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 300 * SECOND },
  massDelete: { fraction: 0.5, minimumDroplets: 10, holdMs: 3600 * SECOND },
};

export function desired(over: Partial<Desired> = {}): Desired {
  return {
    state: 'STARTED',
    packageState: 'STAGED',
    instances: 1,
    version: 'v1',
    memoryMb: 256,
    updatedAtS: 1_398_000_000,
    ...over,
  };
}

/** RUNNING for an hour on `dea-1`, which sends regular heartbeats. */
export function instance(guid: string, over: Partial<Instance> = {}): Instance {
  return {
    guid,
    index: 0,
    version: 'v1',
    state: 'RUNNING',
    stateTimestampS: 1000,
    dea: 'dea-1',
    firstListedMs: NOW - 3600 * SECOND,
    ...over,
  };
}

let exitCount = 0;

/** Received at `NOW`; numbered in the order in which the exits are built. */
export function exit(instanceGuid: string, over: Partial<Exit> = {}): Exit {
  const reason = over.reason ?? 'CRASHED';
  const atMs = over.atMs ?? NOW;
  return {
    instance: instanceGuid,
    index: 0,
    version: 'v1',
    reason,
    atMs,
    n: ++exitCount,
    ...(reason === 'CRASHED' ? { crashTimestampS: Math.floor(atMs / 1000) } : {}),
    ...over,
  };
}

export function slot(over: Partial<Slot> = {}): Slot {
  return { index: 0, version: 'v1', crashes: 0, flapping: false, ...over };
}

/** Desired with one instance, first seen an hour ago. With `desired: undefined` it never was desired. */
export function droplet(
  over: Partial<Omit<Droplet, 'slots' | 'stops' | 'outcomes' | 'desired'>> & {
    desired?: Desired | undefined;
    slots?: Slot[];
    stops?: Iterable<PendingStop>;
    outcomes?: Iterable<Outcome>;
  } = {},
): Droplet {
  const { slots, stops, outcomes, desired: given, ...rest } = over;
  const built: Droplet = {
    id: 'droplet-1',
    rev: 7,
    firstSeenMs: NOW - 3600 * SECOND,
    instances: [],
    exits: [],
    handledExits: 0,
    ...rest,
    slots: new Map([...(slots ?? [])].map((s) => [s.index, s])),
    stops: new Map([...(stops ?? [])].map((s) => [s.instance, s])),
    outcomes: new Map([...(outcomes ?? [])].map((o) => [o.id, o])),
  };
  if (!('desired' in over)) built.desired = desired();
  else if (given !== undefined) built.desired = given;
  return built;
}

/** Heartbeats of `dea-1`, `dea-2` and `dea-3`: 2 s ago, and 10 s before that. `over` adds, replaces or removes DEAs. */
export function deas(over: Record<string, DeaLiveness | undefined> = {}): Map<string, DeaLiveness> {
  const regular = { lastHeartbeatMs: NOW - 2 * SECOND, previousHeartbeatMs: NOW - 12 * SECOND };
  const all: Record<string, DeaLiveness | undefined> = {
    'dea-1': regular,
    'dea-2': regular,
    'dea-3': regular,
  };
  const known = new Map<string, DeaLiveness>();
  for (const [guid, liveness] of Object.entries({ ...all, ...over })) {
    if (liveness !== undefined) known.set(guid, liveness);
  }
  return known;
}

/** No hold is on, and the latest complete pass began 10 s ago. */
export function holds(over: Partial<Holds> = {}): Holds {
  return {
    desiredUnavailable: false,
    actualNotFresh: false,
    listeningBegunMs: 0,
    massLossDeas: new Set(),
    heartbeatWatermarkMs: NOW,
    massLossEvaluated: { sinceMs: 0, untilMs: NOW },
    massDelete: false,
    lastPassBegunMs: NOW - 10 * SECOND,
    lastFullPassBegunMs: over.lastPassBegunMs ?? NOW - 10 * SECOND,
    ...over,
  };
}

/** Pauses starts and stops of everything, from a minute ago for an hour. */
export function operatorHold(over: Partial<OperatorHold> = {}): OperatorHold {
  return {
    id: 'h1',
    covers: 'all',
    why: 'network maintenance',
    by: 'alice',
    sinceMs: NOW - 60 * SECOND,
    untilMs: NOW + 3600 * SECOND,
    ...over,
  };
}
