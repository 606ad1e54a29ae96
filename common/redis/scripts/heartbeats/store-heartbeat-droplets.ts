import type { Instance } from '../../../model/droplet.ts';
import type { Keys } from '../../keys.ts';
import { encodeHeartbeatEntry } from '../../records/record-codec.ts';
import { chunksForCalls, type ShardedAccess } from '../chunks.ts';
import type { ScriptArgument } from '../scripts.ts';

/** An instance as a heartbeat lists it. */
export type ListedInstance = Pick<Instance, 'index' | 'state' | 'version' | 'stateTimestampS'> & {
  /** Its guid. */
  instance: string;
};

/** By droplet, all instances that the heartbeat lists of it; none of a droplet that the DEA ceased to list. */
export type ListedDroplets = ReadonlyMap<string, readonly ListedInstance[]>;

/** A heartbeat that was begun (`beginHeartbeat`), whose droplets are to be written. */
export interface HeartbeatWrite {
  dea: string;
  atMs: number;
  previousHeartbeatMs?: number | undefined;
  /** Another heartbeat of the DEA was begun and not finished: its delayed writes must not overwrite these. */
  fence: boolean;
  /** Records that stay the same become due, too, and get a new revision: the DEA is back. */
  markDue: boolean;
  /** Finds missing records and index entries; without effect while `markDue`. */
  verify?: boolean;
  /** W3C traceparent, while tracing is on. */
  traceparent?: string | undefined;
  /** No droplet is created in a piece of the index that has this many. */
  maxDropletsInPiece?: number;
  /** Droplets of which the DEA's list had the same instances before, so that their records must exist. */
  mustExist?: ReadonlySet<string>;
  /** Records that are lost are built again, and their grace period begins then (ms). Without it nothing is written of them. */
  rebuiltMs?: number;
  /** Claims that apply: of instances that belong to another DEA. */
  granted?: readonly Claim[];
}

/** The heartbeat lists an instance that belongs to another DEA. */
export interface Claim {
  droplet: string;
  instance: string;
  owner: string;
  /** When the owner's heartbeats last listed it; absent if the latest one does (ms). */
  lastListedMs?: number;
  /** It lists another index or version of the instance than the owner did, and the slot where the owner listed it would be empty. */
  changesIdentity?: true;
}

/** What the record of a droplet did not take, other than claims. */
export interface Refusal {
  /**
   * `identity`: the index or version of an instance of the DEA itself would change; `too_many_ended`: of instances that do not run; `too_many_dea`:
   * of all of a heartbeat, because too many DEAs are known.
   */
  reason: 'identity' | 'too_many_instances' | 'too_many_ended' | 'too_many_droplets' | 'too_many_deas';
  droplet: string;
  count: number;
  /** With `identity`, one of the instances and the DEA that it belongs to. */
  instance?: string;
  owner?: string;
}

/** What the writes of a heartbeat changed. */
export interface StoredDroplets {
  /** How many droplets changed. */
  changed: number;
  /** Droplets whose record was incomplete or, if they were verified, missing. */
  wholeAgain: string[];
  /** How many records had no index entry. */
  reindexed: number;
  /** Droplets that the heartbeat lists and of which the DEA holds no wanted slot. */
  unwanted: string[];
  claims: Claim[];
  refusals: Refusal[];
  /** Droplets whose record is lost: nothing was written for them. */
  lost: string[];
}

export function decodeStoredDroplets(reply: unknown): StoredDroplets {
  const [changed, wholeAgain, reindexed, unwanted, rejected, lost] = reply as [
    ...[changed: number, wholeAgain: string[], reindexed: number, unwanted: string[]],
    rejected: [
      droplet: string,
      guidOrCount: string | number,
      reason: string,
      owner: string,
      rest: string | number,
    ][],
    lost: string[],
  ];
  const claims: Claim[] = [];
  const refusals: Refusal[] = [];
  for (const [droplet, guidOrCount, reason, encodedOwner, rest] of rejected) {
    const instance = String(guidOrCount);
    const owner = decodeURIComponent(encodedOwner);
    if (reason === 'owner' || reason === 'identity_of_other')
      claims.push({
        ...{ droplet, instance, owner },
        ...(rest !== '' && { lastListedMs: Number(rest) }),
        ...(reason === 'identity_of_other' && { changesIdentity: true }),
      });
    else if (reason === 'identity') refusals.push({ reason, droplet, count: Number(rest), instance, owner });
    else refusals.push({ reason: reason as Refusal['reason'], droplet, count: Number(guidOrCount) });
  }
  return { changed, wholeAgain, reindexed, unwanted, claims, refusals, lost };
}

/** What several calls changed. */
export function mergeStored(stored: readonly StoredDroplets[]): StoredDroplets {
  return {
    changed: stored.reduce((sum, { changed }) => sum + changed, 0),
    wholeAgain: stored.flatMap(({ wholeAgain }) => wholeAgain),
    reindexed: stored.reduce((sum, { reindexed }) => sum + reindexed, 0),
    unwanted: stored.flatMap(({ unwanted }) => unwanted),
    claims: stored.flatMap(({ claims }) => claims),
    refusals: stored.flatMap(({ refusals }) => refusals),
    lost: stored.flatMap(({ lost }) => lost),
  };
}

/** Droplets of one call. Redis does nothing else meanwhile: for a millisecond or two. */
export const DROPLETS_PER_CALL = 100;

/** Instances of one call, unless one droplet has more: a tenth of the longest heartbeat. */
export const INSTANCES_PER_CALL = 1000;

/** Writes droplets of a heartbeat. */
export async function storeHeartbeatDroplets(
  redis: ShardedAccess,
  heartbeat: HeartbeatWrite,
  droplets: ListedDroplets,
): Promise<StoredDroplets> {
  // As few calls as possible: a call costs as much as a few droplets in it.
  const chunks = chunksForCalls(redis, droplets, DROPLETS_PER_CALL, ([id]) => id).flatMap(splitByInstances);
  const replies = await Promise.all(
    chunks.map((chunk) => {
      const keys: string[] = [];
      const args = headOf(heartbeat);
      addDroplets(redis.keys, heartbeat, chunk, keys, args);
      return redis.scripts.run('store_heartbeat_droplets', keys, args);
    }),
  );
  return mergeStored(replies.map(decodeStoredDroplets));
}

type Listed = readonly [id: string, instances: readonly ListedInstance[]];

function splitByInstances(chunk: readonly Listed[]): Listed[][] {
  const parts: Listed[][] = [];
  let room = 0;
  for (const droplet of chunk) {
    const { length } = droplet[1];
    if (length > room || parts.length === 0) {
      parts.push([]);
      room = INSTANCES_PER_CALL;
    }
    parts.at(-1)?.push(droplet);
    room -= length;
  }
  return parts;
}

/** The first arguments: those about the heartbeat. */
export function headOf(heartbeat: HeartbeatWrite): ScriptArgument[] {
  const { dea, atMs, previousHeartbeatMs = '', fence, markDue, verify = false, traceparent = '' } = heartbeat;
  const mode = markDue ? '1' : verify ? 'verified' : '';
  const onDea = ` on ${encodeURIComponent(dea)} `;
  const { maxDropletsInPiece = Number.MAX_SAFE_INTEGER, granted = [], rebuiltMs = '' } = heartbeat;
  const grants = granted.map(
    ({ droplet, instance, owner }) => `\n${droplet}\t${instance}\t${encodeURIComponent(owner)}\n`,
  );
  return [
    ...[atMs, fence ? '1' : '', onDea, dea, previousHeartbeatMs, mode, traceparent],
    ...[maxDropletsInPiece, grants.join(''), rebuiltMs],
  ];
}

/** Adds the keys and arguments about the droplets. */
export function addDroplets(
  names: Keys,
  { dea, mustExist }: Pick<HeartbeatWrite, 'dea' | 'mustExist'>,
  droplets: Iterable<readonly [id: string, instances: readonly ListedInstance[]]>,
  keys: string[],
  args: ScriptArgument[],
): void {
  for (const [id, instances] of droplets) {
    keys.push(names.droplet(id), names.indexOf(id), names.due(names.sliceOf(id)));
    args.push(id, instances.length, mustExist?.has(id) ? '1' : '');
    for (const listed of instances) args.push(listed.instance, encodeHeartbeatEntry(listed, dea));
  }
}
