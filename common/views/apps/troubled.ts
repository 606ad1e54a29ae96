/** The droplets that need attention, worst first. */
import { absentOf, type Workers } from '../../explain/present/present.ts';
import { indicesText } from '../../explain/wording.ts';
import type { Droplet, Holds, Instance } from '../../model/droplet.ts';
import { lastHeartbeatMs } from '../../policy/fleet/liveness.ts';
import type { PolicySettings } from '../../policy/settings.ts';
import { wantedIndices } from '../../policy/slots/wanted.ts';
import { type Snapshot, takeSnapshot } from '../../policy/snapshot.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { pairsOf } from '../../redis/records/pairs.ts';
import type { DropletReads } from '../../redis/records/readers.ts';
import type { LastInstance, SlotGroup, TroubledDroplet, TroubledUpdate } from './troubled-types.ts';

/** More than fit on a screen. */
const MAX_SHOWN = 50;
/** Droplets that are read, so that what is missing is counted now and not by the latest audits. */
const MAX_READ = 200;
/** Groups of one droplet. */
const MAX_GROUPS = 3;
/** Groups with a DEA each; of more the DEAs are only counted. */
const MAX_NAMED_DEAS = 2;

/** The worst of the troubled droplets. */
export interface Troubled {
  /** Worst first. */
  droplets: TroubledDroplet[];
  /** Number of troubled droplets, including those that were not read. */
  count: number;
  /** Slots in their grace period, of all droplets that were read. */
  expected: number;
}

/** What is sent to a browser. */
export function shownOf({ droplets, count }: Troubled): TroubledUpdate {
  return { droplets: droplets.slice(0, MAX_SHOWN), count };
}

/** Reads the index of the troubled droplets and the records of the worst of them, never those of all droplets. */
export async function readTroubled(
  redis: RedisConnections,
  reader: { read(ids: readonly string[]): Promise<DropletReads> },
  { holds, workers, policy }: { holds: Holds; workers: Workers; policy: PolicySettings },
): Promise<Troubled> {
  const { ids, count } = await readWorstIds(redis, MAX_READ);
  if (ids.length === 0) return { droplets: [], count: 0, expected: 0 };
  const { droplets, deas, nowMs } = await reader.read(ids);
  const known = droplets.flatMap((droplet) => {
    if (droplet === undefined || droplet instanceof Error) return [];
    return troubleOf(takeSnapshot(droplet, deas, holds, nowMs, policy), workers) ?? [];
  });
  const troubled = known.filter(needsAttention);
  const expected = known.reduce((sum, { states }) => sum + states.EXPECTED, 0);
  // A droplet may have recovered since it was indexed; its next reconcile updates the index.
  return { droplets: troubled, count: count - (ids.length - troubled.length), expected };
}

/** Reads the ids of the worst droplets, worst first, and the number of all. Most slices have none and cost one ZCARD. */
export async function readWorstIds(
  { client, keys }: RedisConnections,
  limit = MAX_SHOWN,
): Promise<{ ids: string[]; count: number }> {
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  const counts = await Promise.all(slices.map((slice) => client.zcard(keys.troubled(slice))));
  const lists = await Promise.all(
    slices
      .filter((slice) => (counts[slice] as number) > 0)
      .map((slice) => client.zrevrange(keys.troubled(slice), 0, limit - 1, 'WITHSCORES')),
  );
  const scored: [id: string, score: number][] = [];
  for (const list of lists) {
    for (const [id, score] of pairsOf(list)) scored.push([id, Number(score)]);
  }
  scored.sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || (a < b ? -1 : 1));
  return {
    ids: scored.slice(0, limit).map(([id]) => id),
    count: counts.reduce((sum, count) => sum + count, 0),
  };
}

/** Not while all that is missing is in its grace period. */
function needsAttention({ missing, states, stops }: TroubledDroplet): boolean {
  return missing > states.EXPECTED || stops.length > 0;
}

/** The problems of a droplet; undefined: it has none. Pure. */
export function troubleOf(snapshot: Snapshot, workers?: Workers): TroubledDroplet | undefined {
  const { droplet, live } = snapshot;
  const wanted = wantedIndices(droplet);
  const states = { ...NONE };
  const groups = groupsOf(snapshot, wanted, workers, states);
  const stops = stopsOf(droplet);
  if (groups.length === 0 && stops.length === 0) return undefined;
  const liveIndices = [...live.keys()].filter((index) => index < wanted).length;
  return {
    droplet: droplet.id,
    wanted,
    live: liveIndices,
    missing: wanted - liveIndices,
    states,
    groups: groups.slice(0, MAX_GROUPS),
    stops,
  };
}

const NONE: TroubledDroplet['states'] = {
  'GIVEN UP': 0,
  UNPLACED: 0,
  FLAPPING: 0,
  MISSING: 0,
  HELD: 0,
  PAUSED: 0,
  EXPECTED: 0,
};

/** @param states counts the missing slots */
function groupsOf(
  snapshot: Snapshot,
  wanted: number,
  workers: Workers | undefined,
  states: TroubledDroplet['states'],
): SlotGroup[] {
  /** By what they have in common, the DEA first. */
  const groups = new Map<string, IndexGroup>();
  for (let index = 0; index < wanted; index++) {
    if (snapshot.live.has(index)) continue;
    const absent = absentOf(snapshot, index, workers);
    states[absent.state]++;
    if (absent.step.kind === 'held') states.HELD++;
    if (absent.step.kind === 'grace') states.EXPECTED++;
    if (absent.step.kind === 'held' && absent.step.hold === 'operator') states.PAUSED++;
    const lastInstance = lastInstanceAt(snapshot, index);
    const { state, crashes, lastCrash, step } = absent;
    const hold = step.kind === 'held' ? step.hold : undefined;
    const reason = 'reason' in step ? step.reason : undefined;
    const key = JSON.stringify([
      lastInstance?.dea,
      state,
      crashes,
      lastCrash,
      step.kind,
      hold,
      reason,
      lastInstance?.cause,
    ]);
    const known = groups.get(key);
    if (known === undefined) {
      const group = {
        ...absent,
        indices: '',
        count: 0,
        ...(lastInstance === undefined ? {} : { lastInstance }),
      };
      groups.set(key, { group, indices: [index] });
      continue;
    }
    known.indices.push(index);
    // The group shows the step that comes first.
    if (nextStepMs(absent) < nextStepMs(known.group)) Object.assign(known.group, absent);
  }
  // A group for each of many DEAs would hide what they have in common.
  const shown = groups.size > MAX_NAMED_DEAS ? acrossDeas([...groups.entries()]) : [...groups.values()];
  return shown
    .sort((a, b) => b.indices.length - a.indices.length)
    .map(({ group, indices }) => ({ ...group, indices: indicesText(indices), count: indices.length }));
}

interface IndexGroup {
  group: SlotGroup;
  /** Sorted. */
  indices: number[];
}

/** Groups that differ only in the DEA become one. @param groups by what they have in common, the DEA among it */
function acrossDeas(groups: readonly [key: string, IndexGroup][]): IndexGroup[] {
  const merged = new Map<string, IndexGroup & { deas: Set<string> }>();
  for (const [key, { group, indices }] of groups) {
    const common = JSON.stringify((JSON.parse(key) as unknown[]).slice(1));
    const { lastInstance } = group;
    const known = merged.get(common);
    if (known === undefined) {
      merged.set(common, { group, indices, deas: new Set(lastInstance && [lastInstance.dea]) });
      continue;
    }
    known.indices = [...known.indices, ...indices].sort((a, b) => a - b);
    if (nextStepMs(group) < nextStepMs(known.group)) known.group.step = group.step;
    if (lastInstance === undefined || known.group.lastInstance === undefined) continue;
    known.deas.add(lastInstance.dea);
    const lastHeartbeatMs = Math.max(lastInstance.lastHeartbeatMs, known.group.lastInstance.lastHeartbeatMs);
    known.group.lastInstance = { ...known.group.lastInstance, lastHeartbeatMs, deas: known.deas.size };
  }
  return [...merged.values()];
}

/** When the next step happens (epoch ms); infinite if it has no time. */
function nextStepMs({ step }: Pick<SlotGroup, 'step'>): number {
  if ('untilMs' in step) return step.untilMs;
  if ('retryAtMs' in step) return step.retryAtMs;
  return 'dueMs' in step ? step.dueMs : Number.POSITIVE_INFINITY;
}

/** The instance that was listed last at the slot, apart from crash records. */
function lastInstanceAt({ droplet, deas, exits }: Snapshot, index: number): LastInstance | undefined {
  let last: Instance | undefined;
  for (const instance of droplet.instances) {
    if (instance.index !== index || instance.version !== droplet.desired?.version) continue;
    if (instance.state === 'CRASHED') continue;
    if (last === undefined || lastHeartbeatMs(instance, deas) > lastHeartbeatMs(last, deas)) last = instance;
  }
  if (last === undefined) return undefined;
  const exit = exits.get(last.guid);
  const cause = exit !== undefined ? 'ended' : last.lastListedMs === undefined ? 'silent' : 'unlisted';
  const ended = exit === undefined ? {} : { exit: exit.reason };
  return { dea: last.dea, lastHeartbeatMs: exit?.atMs ?? lastHeartbeatMs(last, deas), cause, ...ended };
}

function stopsOf({ stops }: Droplet): TroubledDroplet['stops'] {
  const groups = new Map<string, TroubledDroplet['stops'][number]>();
  for (const { reason, held } of stops.values()) {
    const key = `${reason} ${held}`;
    const known = groups.get(key);
    if (known !== undefined) known.count++;
    else groups.set(key, { reason, count: 1, ...(held === undefined ? {} : { held }) });
  }
  return [...groups.values()];
}
