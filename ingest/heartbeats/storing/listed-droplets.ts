import type { Heartbeat, HeartbeatEntry } from '../../../common/messages/incoming/incoming.ts';
import type {
  ListedDroplets,
  Refusal,
} from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { MAX_INSTANCES_OF_DROPLET } from './bounds.ts';

/** States of an instance that exists; in all other states it has ended. */
const EXISTING_STATES: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);

/** By droplet, the entries of the heartbeat, and which droplets have too many. */
export function listedDroplets(
  touched: Set<string>,
  { entries }: Heartbeat,
): { droplets: Map<string, HeartbeatEntry[]>; surplus: Refusal[] } {
  const droplets = new Map<string, HeartbeatEntry[]>();
  for (const droplet of touched) droplets.set(droplet, []);
  for (const entry of entries) droplets.get(entry.droplet)?.push(entry);
  const surplus: Refusal[] = [];
  if (entries.length > MAX_INSTANCES_OF_DROPLET) {
    for (const [droplet, listed] of droplets) {
      const { length } = listed.splice(MAX_INSTANCES_OF_DROPLET);
      if (length > 0) surplus.push({ reason: 'too_many_instances', droplet, count: length });
    }
  }
  return { droplets, surplus };
}

export function countInstances(droplets: ListedDroplets): number {
  let instances = 0;
  for (const { length } of droplets.values()) instances += length;
  return instances;
}

export function dropletsOf({ entries }: Heartbeat): string[] {
  return [...new Set(entries.map(({ droplet }) => droplet))];
}

/** How many instances of these droplets the heartbeat lists. */
export function countInstancesOf({ entries }: Heartbeat, droplets: readonly string[]): number {
  if (droplets.length === 0) return 0;
  const among = new Set(droplets);
  return entries.filter(({ droplet }) => among.has(droplet)).length;
}

/** How many instances the heartbeat lists that exist. */
export function countRunning({ entries }: Heartbeat): number {
  return entries.filter(({ state }) => EXISTING_STATES.has(state)).length;
}
