/** For tests: what must never be done (rule 1), checked against what truly runs and what heartbeats have reported. */
import type { DeaLiveness, Desired, Droplet } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { TrueDea, TrueInstance } from './truth.ts';

/** A simulated app at one moment. */
export interface CloudState {
  nowMs: number;
  record: Droplet;
  deaLiveness: ReadonlyMap<string, DeaLiveness>;
  instances: readonly TrueInstance[];
  desired: Desired;
  settings: PolicySettings;
  deas: readonly TrueDea[];
  /** DEAs cut off together. */
  cutOff: ReadonlySet<string>;
}

/** No start is sent for a slot with an instance that heartbeats report as RUNNING. */
export function harmOfStart(state: CloudState, index: number): string[] {
  const isLive = state.instances.some(
    (i) =>
      i.index === index &&
      i.version === state.desired.version &&
      i.state === 'RUNNING' &&
      isKnownRunning(state, i.guid),
  );
  return isLive ? [`start of live ${index} at ${state.nowMs}`] : [];
}

/** No start is sent for a slot with an instance that its DEA has renamed in place, and whose DEA sends its heartbeats. */
export function harmOfRename(state: CloudState, index: number): string[] {
  const { nowMs, instances, desired, deas, deaLiveness } = state;
  return instances.flatMap((i) => {
    if (!i.isRenamed || i.index !== index || i.version !== desired.version || i.state !== 'RUNNING')
      return [];
    const isReachable = deas.some(({ name, alive }) => name === i.dea && alive);
    const silentMs = nowMs - (deaLiveness.get(i.dea)?.lastHeartbeatMs ?? 0);
    return isReachable && silentMs <= 11_000 ? [`start of the renamed ${i.guid} at ${nowMs}`] : [];
  });
}

/** No start is sent beside an instance whose DEA is cut off with most others, or whose heartbeats no ingestor received. */
export function harmOfSilence(state: CloudState, index: number): string[] {
  const { nowMs, record, deaLiveness, instances, desired, deas, cutOff } = state;
  const harm: string[] = [];
  for (const { index: its, version, state, guid, dea } of instances) {
    if (its !== index || version !== desired.version || state !== 'RUNNING') continue;
    const known = record.instances.find((i) => i.guid === guid);
    if (known === undefined || known.lastListedMs !== undefined || known.state !== 'RUNNING') continue;
    if (record.exits.some((exit) => exit.instance === guid)) continue;
    const { alive = false, aliveMs = 0 } = deas.find(({ name }) => name === dea) ?? {};
    const lastHeartbeatMs = deaLiveness.get(dea)?.lastHeartbeatMs ?? 0;
    if (cutOff.has(dea)) harm.push(`start of ${guid} on the cut off ${dea} at ${nowMs}`);
    else if (alive && aliveMs < lastHeartbeatMs)
      harm.push(`start of ${guid}, whose heartbeats no ingestor received, at ${nowMs}`);
  }
  return harm;
}

/** A wanted RUNNING instance is stopped only if heartbeats report another copy of it as RUNNING. */
export function harmOfStop(
  { nowMs, record, deaLiveness, instances, desired, settings }: CloudState,
  guid: string,
): string[] {
  const victim = instances.find((i) => i.guid === guid);
  if (victim === undefined || victim.state !== 'RUNNING' || victim.version !== desired.version) return [];
  if (desired.state !== 'STARTED' || victim.index >= desired.instances) return [];
  const other = record.instances.some(
    (i) =>
      i.guid !== guid &&
      i.index === victim.index &&
      i.version === victim.version &&
      i.state === 'RUNNING' &&
      i.lastListedMs === undefined &&
      nowMs - (deaLiveness.get(i.dea)?.lastHeartbeatMs ?? 0) <= settings.dropletLostMs,
  );
  return other ? [] : [`stop of healthy ${guid} at ${nowMs}`];
}

/** Whether heartbeats report the instance as RUNNING, and no exit of it was received. */
export function isKnownRunning({ nowMs, record, deaLiveness, settings }: CloudState, guid: string): boolean {
  const known = record.instances.find((i) => i.guid === guid);
  if (known === undefined || known.lastListedMs !== undefined || known.state !== 'RUNNING') return false;
  if (record.exits.some((exit) => exit.instance === guid)) return false;
  return nowMs - (deaLiveness.get(known.dea)?.lastHeartbeatMs ?? 0) <= settings.dropletLostMs;
}
