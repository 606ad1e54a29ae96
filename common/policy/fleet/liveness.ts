/**
 * What an instance counts as now.
 *
 * It counts as the state that its DEA last listed, if that was at most `droplet_lost` of listening time ago and no exit has ended
 * the instance.
 * STARTING and RUNNING are *live*; EVACUATING runs, but is not live for its slot.
 */
import type { DeaLiveness, Exit, Instance, ListeningGap } from '../../model/droplet.ts';
import { type ActiveState, isActiveState } from '../../model/instance-states.ts';
import type { PolicySettings } from '../settings.ts';
import { exitInForceMs, lateAfterMs, leftOutMs } from '../thresholds.ts';
import { listenedAgoMs } from './listening-time.ts';

/** Heartbeat times by DEA guid. */
export type Deas = ReadonlyMap<string, DeaLiveness>;

/** `NONE`: the instance does not run, as far as is known. */
export type EffectiveState = ActiveState | 'NONE';

/**
 * When the last heartbeat that listed the instance was received (epoch ms). While the DEA's latest list has the instance, that
 * is the DEA's last heartbeat. At least `firstListedMs`, because a reader may not have the DEA yet.
 */
export function lastHeartbeatMs(
  instance: Pick<Instance, 'dea' | 'firstListedMs' | 'lastListedMs'>,
  deas: Deas,
): number {
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

/**
 * The last heartbeat of the DEA that the instance is on (epoch ms); undefined if its DEA no longer lists it.
 *
 * What the latest heartbeats left out within a heartbeat period is still on the DEA, because not every heartbeat is the full list:
 * some DEAs send one with a single instance when it comes up. A DEA that goes on sending heartbeats lists it again or has lost it.
 */
export function heartbeatOfItsDeaMs(
  instance: Instance,
  deas: Deas,
  settings: PolicySettings,
): number | undefined {
  if (isListed(instance)) return lastHeartbeatMs(instance, deas);
  const dea = deas.get(instance.dea);
  return dea !== undefined && isLeftOut(instance, dea, settings) ? dea.lastHeartbeatMs : undefined;
}

/**
 * Whether only the latest heartbeats of the instance's DEA left it out, as far as is known: those within a heartbeat period, or a single
 * one that followed a silence.
 */
export function isLeftOut(
  { lastListedMs }: Instance,
  { lastHeartbeatMs, isRestored, previousHeartbeatMs }: DeaLiveness,
  settings: PolicySettings,
): boolean {
  if (lastListedMs === undefined) return false;
  if (previousHeartbeatMs !== undefined && previousHeartbeatMs <= lastListedMs) return true;
  return isRestored === true || lastHeartbeatMs - lastListedMs <= leftOutMs(settings);
}

/** What was last listed before this time (epoch ms) is lost: more than `droplet_lost` of listening time has passed since. */
export function lostBefore(
  nowMs: number,
  gaps: readonly ListeningGap[] | undefined,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): number {
  return listenedAgoMs(nowMs, settings.dropletLostMs, gaps);
}

export type SilenceState = 'alive' | 'late' | 'lost';

/** Returns a function that returns the state of a DEA by its last heartbeat (epoch ms). The cutoffs are computed once for all DEAs. */
export function silenceStates(
  nowMs: number,
  gaps: readonly ListeningGap[] | undefined,
  settings: PolicySettings,
): (lastHeartbeatMs: number) => SilenceState {
  const lostBeforeMs = lostBefore(nowMs, gaps, settings);
  const lateBeforeMs = listenedAgoMs(nowMs, lateAfterMs(settings), gaps);
  return (lastHeartbeatMs) => {
    if (lastHeartbeatMs < lostBeforeMs) return 'lost';
    return lastHeartbeatMs < lateBeforeMs ? 'late' : 'alive';
  };
}

/** Whether an exit overrides a heartbeat received at `heartbeatMs`: one received after `2 * droplet_lost` counts again. */
export function isExitInForce(exit: Exit, heartbeatMs: number, settings: PolicySettings): boolean {
  return heartbeatMs <= exit.atMs + exitInForceMs(settings);
}

/**
 * @param exit the instance's own exit, if there is one
 * @param lostBeforeMs see `lostBefore`
 */
export function effectiveState(
  instance: Pick<Instance, 'state' | 'dea' | 'firstListedMs' | 'lastListedMs'>,
  exit: Exit | undefined,
  deas: Deas,
  lostBeforeMs: number,
  settings: PolicySettings,
): EffectiveState {
  const { state } = instance;
  if (!isActiveState(state)) return 'NONE';
  const heartbeatMs = lastHeartbeatMs(instance, deas);
  if (heartbeatMs < lostBeforeMs) return 'NONE';
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
