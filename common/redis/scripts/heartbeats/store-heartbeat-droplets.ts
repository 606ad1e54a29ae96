import type { Instance } from '../../../model/droplet.ts';
import type { Keys } from '../../keys.ts';
import { encodeHeartbeatEntry } from '../../record-codec.ts';
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
  /** W3C traceparent, while tracing is on. */
  traceparent?: string | undefined;
}

/** Droplets of one call. Redis does nothing else meanwhile: for a millisecond or two. */
export const DROPLETS_PER_CALL = 100;

/**
 * Writes droplets of a heartbeat.
 *
 * @returns how many changed
 */
export async function storeHeartbeatDroplets(
  redis: ShardedAccess,
  heartbeat: HeartbeatWrite,
  droplets: ListedDroplets,
): Promise<number> {
  // As few calls as possible: a call costs as much as a few droplets in it.
  const chunks = chunksForCalls(redis, droplets, DROPLETS_PER_CALL, ([id]) => id);
  const counts = await Promise.all(
    chunks.map((chunk) => {
      const keys: string[] = [];
      const args = headOf(heartbeat);
      addDroplets(redis.keys, heartbeat.dea, chunk, keys, args);
      return redis.scripts.run('store_heartbeat_droplets', keys, args);
    }),
  );
  return counts.reduce<number>((sum, count) => sum + (count as number), 0);
}

/** The first arguments: those about the heartbeat. */
export function headOf(heartbeat: HeartbeatWrite): ScriptArgument[] {
  const { dea, atMs, previousHeartbeatMs = '', fence, markDue, traceparent = '' } = heartbeat;
  const onDea = ` on ${encodeURIComponent(dea)} `;
  return [atMs, fence ? '1' : '', onDea, dea, previousHeartbeatMs, markDue ? '1' : '', traceparent];
}

/** Adds the keys and arguments about the droplets. */
export function addDroplets(
  names: Keys,
  dea: string,
  droplets: Iterable<readonly [id: string, instances: readonly ListedInstance[]]>,
  keys: string[],
  args: ScriptArgument[],
): void {
  for (const [id, instances] of droplets) {
    keys.push(names.droplet(id), names.indexOf(id), names.due(names.sliceOf(id)));
    args.push(id, instances.length);
    for (const listed of instances) args.push(listed.instance, encodeHeartbeatEntry(listed, dea));
  }
}
