/**
 * Who runs: what an instance counts as now, from what was heard of it.
 *
 * An instance counts as the state its DEA last listed, if that was at most `droplet_lost` ago and no exit has
 * ended it. STARTING and RUNNING are *live*; EVACUATING runs, but is not live for its slot.
 */
import type { DeaLiveness, Exit, Instance } from '../model/droplet.ts';
import type { PolicySettings } from './settings.ts';

/** When each DEA was heard, by its guid. */
export type Deas = ReadonlyMap<string, DeaLiveness>;

/** What an instance counts as; `NONE`: it does not run, as far as is known. */
export type EffectiveState = 'STARTING' | 'RUNNING' | 'EVACUATING' | 'NONE';

/**
 * When the last heartbeat came that listed the instance (epoch ms). While its DEA lists it, that is when the
 * DEA was heard; `firstListedMs` bounds it from below, also for a DEA that a reader has not seen yet.
 */
export function lastHeartbeatMs(instance: Instance, deas: Deas): number {
  if (instance.lastListedMs !== undefined) return instance.lastListedMs;
  const dea = deas.get(instance.dea);
  return dea !== undefined && dea.lastHeartbeatMs > instance.firstListedMs
    ? dea.lastHeartbeatMs
    : instance.firstListedMs;
}

/** How long an exit speaks against what heartbeats say (ms). */
export function exitStandsForMs({ dropletLostMs }: Pick<PolicySettings, 'dropletLostMs'>): number {
  return 2 * dropletLostMs;
}

/**
 * Whether an exit still speaks against what heartbeats say: nothing heard within `2 * droplet_lost` of it
 * makes the instance live again; what is heard later is believed.
 */
export function exitStands(exit: Exit, heard: number, settings: PolicySettings): boolean {
  return heard <= exit.atMs + exitStandsForMs(settings);
}

/** What an instance counts as now; `exit` is the instance's own, if there is one. */
export function effectiveState(
  instance: Instance,
  exit: Exit | undefined,
  deas: Deas,
  nowMs: number,
  settings: PolicySettings,
): EffectiveState {
  const { state } = instance;
  if (state !== 'RUNNING' && state !== 'STARTING' && state !== 'EVACUATING') return 'NONE';
  const heard = lastHeartbeatMs(instance, deas);
  if (nowMs - heard > settings.dropletLostMs) return 'NONE';
  if (exit === undefined || !exitStands(exit, heard, settings)) return state;
  return exit.reason === 'DEA_EVACUATION' ? 'EVACUATING' : 'NONE';
}

/** Exits by instance. An evacuation is only the announcement of an end: any other exit of the same instance wins. */
export function exitsByInstance(exits: readonly Exit[]): ReadonlyMap<string, Exit> {
  const found = new Map<string, Exit>();
  for (const exit of exits) {
    const known = found.get(exit.instance);
    if (known === undefined || known.reason === 'DEA_EVACUATION') found.set(exit.instance, exit);
  }
  return found;
}
