/** For tests: what must never be done (rule 1), judged by what truly runs and by what was heard of it. */
import type { DeaLiveness, Desired, Droplet } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { TrueDea, TrueInstance } from './truth.ts';

/** A cloud at one moment. */
export interface Seen {
  nowMs: number;
  record: Droplet;
  heard: ReadonlyMap<string, DeaLiveness>;
  instances: readonly TrueInstance[];
  desired: Desired;
  settings: PolicySettings;
  deas: readonly TrueDea[];
  /** DEAs that a cut network keeps from being heard. */
  cut: ReadonlySet<string>;
}

/** No start is asked for a slot with an instance that is heard to run. */
export function harmOfStart(seen: Seen, index: number): string[] {
  const isLive = seen.instances.some(
    (i) =>
      i.index === index &&
      i.version === seen.desired.version &&
      i.state === 'RUNNING' &&
      isHeard(seen, i.guid),
  );
  return isLive ? [`start of live ${index} at ${seen.nowMs}`] : [];
}

/** No start beside an instance that runs on a DEA that nobody listened to, or that was cut off with most others. */
export function harmOfSilence(seen: Seen, index: number): string[] {
  const { nowMs, record, heard, instances, desired, deas, cut } = seen;
  const harm: string[] = [];
  for (const { index: its, version, state, guid, dea } of instances) {
    if (its !== index || version !== desired.version || state !== 'RUNNING') continue;
    const known = record.instances.find((i) => i.guid === guid);
    if (known === undefined || known.lastListedMs !== undefined || known.state !== 'RUNNING') continue;
    if (record.exits.some((exit) => exit.instance === guid)) continue;
    const { alive = false, aliveMs = 0 } = deas.find(({ name }) => name === dea) ?? {};
    const lastHeartbeatMs = heard.get(dea)?.lastHeartbeatMs ?? 0;
    if (cut.has(dea)) harm.push(`start of ${guid} on the cut off ${dea} at ${nowMs}`);
    else if (alive && aliveMs < lastHeartbeatMs)
      harm.push(`start of ${guid}, which nobody listened to, at ${nowMs}`);
  }
  return harm;
}

/** A wanted RUNNING instance is stopped only if another copy of it runs on, as far as was heard. */
export function harmOfStop(
  { nowMs, record, heard, instances, desired, settings }: Seen,
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
      nowMs - (heard.get(i.dea)?.lastHeartbeatMs ?? 0) <= settings.dropletLostMs,
  );
  return other ? [] : [`stop of healthy ${guid} at ${nowMs}`];
}

/** Whether the instance was heard to run, and not to end. */
export function isHeard({ nowMs, record, heard, settings }: Seen, guid: string): boolean {
  const known = record.instances.find((i) => i.guid === guid);
  if (known === undefined || known.lastListedMs !== undefined || known.state !== 'RUNNING') return false;
  if (record.exits.some((exit) => exit.instance === guid)) return false;
  return nowMs - (heard.get(known.dea)?.lastHeartbeatMs ?? 0) <= settings.dropletLostMs;
}
