/** The droplets that are not as they should be, worst first. */

import { absentOf } from '../explain/present.ts';
import { indicesText } from '../explain/wording.ts';
import type { Droplet, Holds, Instance } from '../model/droplet.ts';
import { lastHeartbeatMs } from '../policy/liveness.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { type Snapshot, takeSnapshot } from '../policy/snapshot.ts';
import { wantedIndices } from '../policy/wanted.ts';
import type { RedisConnections } from '../redis/connections.ts';
import type { DropletReads } from '../redis/readers.ts';
import type { LastInstance, SlotGroup, TroubledDroplet, TroubledUpdate } from './troubled-types.ts';

/** Droplets that are told of: a screen has room for fewer. */
const SHOWN = 50;
/** Groups of a droplet that are told of. */
const GROUPS = 3;

/** Reads the index of the troubled droplets, and the records of the worst of them: never all droplets. */
export async function readTroubled(
  redis: RedisConnections,
  records: { read(ids: readonly string[]): Promise<DropletReads> },
  holds: Holds,
  policy: PolicySettings,
): Promise<TroubledUpdate> {
  const { ids, count } = await readWorstIds(redis);
  if (ids.length === 0) return { droplets: [], count: 0 };
  const { droplets, deas, nowMs } = await records.read(ids);
  const told = droplets.flatMap((droplet) => {
    if (droplet === undefined || droplet instanceof Error) return [];
    return troubleOf(takeSnapshot(droplet, deas, holds, nowMs, policy)) ?? [];
  });
  // Of those that were read some may be well by now: the index follows with the next look at them.
  return { droplets: told, count: count - (ids.length - told.length) };
}

/** The ids of the worst of them, worst first, and how many there are. Most slices have none, and are only asked how many. */
export async function readWorstIds({
  client,
  keys,
}: RedisConnections): Promise<{ ids: string[]; count: number }> {
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  const counts = await Promise.all(slices.map((slice) => client.zcard(keys.troubled(slice))));
  const lists = await Promise.all(
    slices
      .filter((slice) => (counts[slice] as number) > 0)
      .map((slice) => client.zrevrange(keys.troubled(slice), 0, SHOWN - 1, 'WITHSCORES')),
  );
  const scored: [id: string, score: number][] = [];
  for (const list of lists) {
    for (let at = 0; at + 1 < list.length; at += 2) scored.push([list[at] as string, Number(list[at + 1])]);
  }
  scored.sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || (a < b ? -1 : 1));
  return {
    ids: scored.slice(0, SHOWN).map(([id]) => id),
    count: counts.reduce((sum, count) => sum + count, 0),
  };
}

/** Pure: what is wrong with a droplet; undefined if it is as it should be. */
export function troubleOf(snapshot: Snapshot): TroubledDroplet | undefined {
  const { droplet, live } = snapshot;
  const wanted = wantedIndices(droplet);
  const groups = groupsOf(snapshot, wanted);
  const stops = stopsOf(droplet);
  if (groups.length === 0 && stops.length === 0) return undefined;
  const there = [...live.keys()].filter((index) => index < wanted).length;
  return {
    droplet: droplet.id,
    wanted,
    live: there,
    missing: wanted - there,
    groups: groups.slice(0, GROUPS),
    stops,
  };
}

function groupsOf(snapshot: Snapshot, wanted: number): SlotGroup[] {
  const groups = new Map<string, { group: SlotGroup; indices: number[] }>();
  for (let index = 0; index < wanted; index++) {
    if (snapshot.live.has(index)) continue;
    const absent = absentOf(snapshot, index);
    const lastInstance = lastInstanceAt(snapshot, index);
    const { state, crashes, step } = absent;
    const hold = step.kind === 'held' ? step.hold : undefined;
    const reason = 'reason' in step ? step.reason : undefined;
    const key = JSON.stringify([
      state,
      crashes,
      step.kind,
      hold,
      reason,
      lastInstance?.dea,
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
    // The earliest speaks for all.
    if (nextStepMs(absent) < nextStepMs(known.group)) Object.assign(known.group, absent);
  }
  return [...groups.values()]
    .sort((a, b) => b.indices.length - a.indices.length)
    .map(({ group, indices }) => ({ ...group, indices: indicesText(indices), count: indices.length }));
}

/** When what happens next happens; infinite where nobody knows. */
function nextStepMs({ step }: Pick<SlotGroup, 'step'>): number {
  if ('untilMs' in step) return step.untilMs;
  if ('retryAtMs' in step) return step.retryAtMs;
  return 'dueMs' in step ? step.dueMs : Number.POSITIVE_INFINITY;
}

/** The instance last heard at the slot; records of crashes tell nothing of it. */
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
