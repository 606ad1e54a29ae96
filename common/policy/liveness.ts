/**
 * What an instance counts as now.
 *
 * It counts as the state that its DEA last listed, if that was at most `droplet_lost` ago and no exit has ended the instance.
 * STARTING and RUNNING are *live*; EVACUATING runs, but is not live for its slot.
 */
import type { DeaLiveness, Exit, Instance } from '../model/droplet.ts';
import { type ActiveState, isActiveState } from '../model/instance-states.ts';
import type { PolicySettings } from './settings.ts';
import { exitInForceMs } from './thresholds.ts';

/** Heartbeat times by DEA guid. */
export type Deas = ReadonlyMap<string, DeaLiveness>;

/** `NONE`: the instance does not run, as far as is known. */
export type EffectiveState = ActiveState | 'NONE';

/**
 * When the last heartbeat that listed the instance was received (epoch ms). While the DEA's latest list has the instance, that
 * is the DEA's last heartbeat. At least `firstListedMs`, because a reader may not have the DEA yet.
 */
export function lastHeartbeatMs(instance: Instance, deas: Deas): number {
  if (instance.lastListedMs !== undefined) return instance.lastListedMs;
  const dea = deas.get(instance.dea);
  return dea !== undefined && dea.lastHeartbeatMs > instance.firstListedMs
    ? dea.lastHeartbeatMs
    : instance.firstListedMs;
}

/** Whether its DEA's latest list has the instance. One that it does not have is gone for stops, and for starts only later. */
export function isListed({ lastListedMs }: Instance): boolean {
  return lastListedMs === undefined;
}

/** Whether an exit overrides a heartbeat received at `heartbeatMs`: one received after `2 * droplet_lost` counts again. */
export function isExitInForce(exit: Exit, heartbeatMs: number, settings: PolicySettings): boolean {
  return heartbeatMs <= exit.atMs + exitInForceMs(settings);
}

/** @param exit the instance's own exit, if there is one */
export function effectiveState(
  instance: Instance,
  exit: Exit | undefined,
  deas: Deas,
  nowMs: number,
  settings: PolicySettings,
): EffectiveState {
  const { state } = instance;
  if (!isActiveState(state)) return 'NONE';
  const heartbeatMs = lastHeartbeatMs(instance, deas);
  if (nowMs - heartbeatMs > settings.dropletLostMs) return 'NONE';
  if (exit === undefined || !isExitInForce(exit, heartbeatMs, settings)) return state;
  return exit.reason === 'DEA_EVACUATION' ? 'EVACUATING' : 'NONE';
}

/** Exits by instance guid. DEA_EVACUATION only announces the end, so any other exit of the same instance takes precedence. */
export function exitsByInstance(exits: readonly Exit[]): ReadonlyMap<string, Exit> {
  const found = new Map<string, Exit>();
  for (const exit of exits) {
    const known = found.get(exit.instance);
    if (known === undefined || known.reason === 'DEA_EVACUATION') found.set(exit.instance, exit);
  }
  return found;
}
