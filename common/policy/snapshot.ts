import type { Droplet, Exit, Holds, Instance } from '../model/droplet.ts';
import {
  type Deas,
  type EffectiveState,
  effectiveState,
  exitsByInstance,
  lostBefore,
} from './fleet/liveness.ts';
import type { PolicySettings } from './settings.ts';
import { isDesired, versionGraceEndsMs } from './slots/wanted.ts';

/** Everything that the decisions about one droplet depend on, at one moment. */
export interface Snapshot {
  droplet: Droplet;
  deas: Deas;
  holds: Holds;
  /** Epoch ms by Redis's clock. */
  nowMs: number;
  settings: PolicySettings;
  /** What was last listed before this time is lost (epoch ms). */
  lostBeforeMs: number;
  /** Every instance that runs (STARTING, RUNNING or EVACUATING), with what it counts as. */
  effectiveStates: ReadonlyMap<Instance, EffectiveState>;
  /** Live instances of the live version, by index. */
  live: ReadonlyMap<number, readonly Instance[]>;
  /** EVACUATING instances of the live version, by index. */
  evacuating: ReadonlyMap<number, readonly Instance[]>;
  /** The exit that counts for an instance, by its guid. */
  exits: ReadonlyMap<string, Exit>;
  /**
   * When an instance of another than the live version was first listed, if every pass began before that (epoch ms; of several the
   * latest). The controller may have made that version the live one without a `droplet.updated`.
   */
  unknownVersionSinceMs: number | undefined;
  /** Until when the slots of the live version are in their grace period because the version is new; 0 if they are not. */
  versionGraceEndsMs: number;
}

export function takeSnapshot(
  droplet: Droplet,
  deas: Deas,
  holds: Holds,
  nowMs: number,
  settings: PolicySettings,
): Snapshot {
  const exits = exitsByInstance(droplet.exits);
  const lostBeforeMs = lostBefore(nowMs, holds.listeningGaps, settings);
  const effectiveStates = new Map<Instance, EffectiveState>();
  const live = new Map<number, Instance[]>();
  const evacuating = new Map<number, Instance[]>();
  let unknownVersionSinceMs: number | undefined;
  for (const instance of droplet.instances) {
    const state = effectiveState(instance, exits.get(instance.guid), deas, lostBeforeMs, settings);
    if (state === 'NONE') continue;
    effectiveStates.set(instance, state);
    if (instance.version !== droplet.desired?.version) {
      const { firstListedMs } = instance;
      if (isDesired(droplet) && !isReadSince(holds, firstListedMs))
        unknownVersionSinceMs = Math.max(unknownVersionSinceMs ?? 0, firstListedMs);
      continue;
    }
    const slots = state === 'EVACUATING' ? evacuating : live;
    const others = slots.get(instance.index);
    if (others === undefined) slots.set(instance.index, [instance]);
    else others.push(instance);
  }
  return {
    ...{ droplet, deas, holds, nowMs, settings, lostBeforeMs, effectiveStates, live, evacuating, exits },
    unknownVersionSinceMs,
    versionGraceEndsMs: versionGraceEndsMs(droplet, { deas, holds, settings }, lostBeforeMs, nowMs),
  };
}

/** Whether the latest complete pass did not begin before `atMs`, so that it read what the controller had changed by then. */
function isReadSince({ lastPassBegunMs }: Holds, atMs: number): boolean {
  return lastPassBegunMs !== undefined && lastPassBegunMs >= atMs;
}
