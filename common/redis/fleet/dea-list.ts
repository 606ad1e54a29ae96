/**
 * The list of a DEA's instances, as it is kept in Redis. Each instance has a line: a fingerprint of fixed length, the droplet,
 * a newline. Ids have no control characters, so they contain no newline.
 */
import type { RedisConnections } from '../connection/connections.ts';

/** Length of a fingerprint: 48 bits of SHA-1, enough for the few instances that a droplet ever has on one DEA. */
export const FINGERPRINT_LENGTH = 8;

/** The lines of a stored list, without their newlines. */
export function linesOf(list: string): string[] {
  return list === '' ? [] : list.slice(0, -1).split('\n');
}

/** The droplet of a line. */
export function dropletOfLine(line: string): string {
  return line.slice(FINGERPRINT_LENGTH);
}

/** The droplets of the DEA's latest heartbeat, and of heartbeats that are still being stored. */
export async function listedDroplets(redis: RedisConnections, dea: string): Promise<Set<string>> {
  return (await storedDroplets(redis, dea)) ?? new Set();
}

/** The droplets that the DEA ceased to list lately: its latest heartbeat may only have left them out. */
export async function delistedDroplets({ client, keys }: RedisConnections, dea: string): Promise<string[]> {
  const delisted = await client.hget(keys.deaList(dea), 'delisted');
  return [...(delisted ?? '').matchAll(/^\d+ (.+)$/gm)].map(([, droplet]) => droplet as string);
}

/** As `listedDroplets`; undefined if Redis has lost the list, or never had one. */
export async function storedDroplets(
  { client, keys }: RedisConnections,
  dea: string,
): Promise<Set<string> | undefined> {
  const [list, ...unfinished] = await client.hmget(keys.deaList(dea), 'list', 'next', 'unfinished');
  if (list == null && unfinished.every((one) => one === null)) return undefined;
  const droplets = new Set<string>();
  for (const one of [list, ...unfinished]) {
    for (const line of linesOf(one ?? '')) droplets.add(dropletOfLine(line));
  }
  return droplets;
}
