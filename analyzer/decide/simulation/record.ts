/** For tests: applies heartbeats and exits to a record, as ingest does. */
import type { Droplet, Exit, Instance } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { exitInForceMs } from '../../../common/policy/thresholds.ts';
import type { TrueInstance } from './truth.ts';

/**
 * The record's instances after a heartbeat of one DEA, and whether they differ from those before.
 *
 * @param before time of the previous heartbeat of the DEA (epoch ms)
 */
export function afterHeartbeat(
  record: Droplet,
  name: string,
  listed: readonly TrueInstance[],
  before: number | undefined,
  nowMs: number,
): { instances: Instance[]; differs: boolean } {
  let differs = false;
  const instances = record.instances.map((known) => {
    if (known.dea !== name || known.lastListedMs !== undefined) return known;
    if (listed.some(({ guid }) => guid === known.guid)) return known;
    differs = true;
    return { ...known, lastListedMs: before ?? nowMs };
  });
  for (const { guid, index, version, state, dea, sinceMs } of listed) {
    const at = instances.findIndex((known) => known.guid === guid);
    const known = instances[at];
    if (known !== undefined && known.state === state && known.lastListedMs === undefined) continue;
    differs = true;
    const firstListedMs = known?.firstListedMs ?? nowMs;
    const entry = { guid, index, version, state, dea, stateTimestampS: sinceMs / 1000, firstListedMs };
    if (at < 0) instances.push(entry);
    else instances[at] = entry;
  }
  return { instances, differs };
}

/**
 * The record's exits with one more, or undefined if it changes nothing: a known exit of the instance is still in force,
 * and it is not an announced evacuation that this exit completes.
 */
export function afterExit(
  { exits }: Droplet,
  exit: Exit,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): Exit[] | undefined {
  const known = exits.find(({ instance }) => instance === exit.instance);
  const stands = known !== undefined && exit.atMs - known.atMs <= exitInForceMs(settings);
  if (stands && (known.reason !== 'DEA_EVACUATION' || exit.reason === 'DEA_EVACUATION')) return undefined;
  return [...exits.filter((e) => e !== known), exit];
}
