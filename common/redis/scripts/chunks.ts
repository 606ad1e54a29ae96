import type { ScriptAccess } from './scripts.ts';

/** What decides how droplets are split over calls. */
export type ShardedAccess = ScriptAccess & { readonly isCluster: boolean };

/** Splits items into chunks of at most `size`, each of one group; within a group their order stays. */
export function chunksByGroup<T>(
  items: Iterable<T>,
  size: number,
  groupOf: (item: T) => number,
): { group: number; items: T[] }[] {
  const chunks: { group: number; items: T[] }[] = [];
  const open = new Map<number, T[]>();
  for (const item of items) {
    const group = groupOf(item);
    let chunk = open.get(group);
    if (chunk === undefined || chunk.length === size) {
      chunk = [];
      open.set(group, chunk);
      chunks.push({ group, items: chunk });
    }
    chunk.push(item);
  }
  return chunks;
}

/** Splits droplets into chunks for one call each: at most `size`, and in a cluster of one slice, as a call's keys must be on one node. */
export function chunksForCalls<T>(
  { isCluster, keys }: ShardedAccess,
  items: Iterable<T>,
  size: number,
  idOf: (item: T) => string,
): T[][] {
  const groupOf = isCluster ? (item: T) => keys.sliceOf(idOf(item)) : () => 0;
  return chunksByGroup(items, size, groupOf).map((chunk) => chunk.items);
}

/**
 * Calls a script on chunks of droplets, side by side.
 *
 * @param call gives a result for each item of the chunk
 * @returns the results in the order of `items`
 */
export async function callInChunks<T, R>(
  redis: ShardedAccess,
  items: readonly T[],
  size: number,
  idOf: (item: T) => string,
  call: (chunk: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  if (items.length <= size && !redis.isCluster) return items.length === 0 ? [] : call(items);
  const positions = chunksForCalls(redis, items.keys(), size, (at) => idOf(items[at] as T));
  const results = new Array<R>(items.length);
  await Promise.all(
    positions.map(async (chunk) => {
      const replies = await call(chunk.map((at) => items[at] as T));
      chunk.forEach((at, n) => {
        results[at] = replies[n] as R;
      });
    }),
  );
  return results;
}
