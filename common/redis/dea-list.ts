/**
 * The list of what a DEA runs, as it is kept in Redis: a line an instance, each ended by a newline, a fingerprint of
 * fixed length and behind it the droplet. Ids have no control characters, so a newline ends a line.
 */
import type { RedisConnections } from './connections.ts';

/** Length of a fingerprint: 48 bits of SHA-1, of the few instances that a droplet ever has on one DEA. */
export const FINGERPRINT_LENGTH = 8;

/** The lines of a stored list, without their ends. */
export function linesOf(list: string): string[] {
  return list === '' ? [] : list.slice(0, -1).split('\n');
}

/** The droplet that a line is of. */
export function dropletOfLine(line: string): string {
  return line.slice(FINGERPRINT_LENGTH);
}

/** Droplets that the DEA's latest heartbeats listed, those included that are still being stored. */
export async function listedDroplets({ client, keys }: RedisConnections, dea: string): Promise<Set<string>> {
  const lists = await client.hmget(keys.deaList(dea), 'list', 'next', 'writing');
  const droplets = new Set<string>();
  for (const list of lists) {
    for (const line of linesOf(list ?? '')) droplets.add(dropletOfLine(line));
  }
  return droplets;
}
