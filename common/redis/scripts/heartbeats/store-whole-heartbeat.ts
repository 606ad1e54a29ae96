import type { ScriptAccess } from '../scripts.ts';
import { type FinishedHeartbeat, linesText } from './finish-heartbeat.ts';
import {
  addDroplets,
  decodeStoredDroplets,
  type HeartbeatWrite,
  headOf,
  type ListedDroplets,
  type StoredDroplets,
} from './store-heartbeat-droplets.ts';

/**
 * Writes all droplets of a heartbeat and ends it, in one call. Not for a cluster, and for no more than DROPLETS_PER_CALL.
 *
 * @returns with what was rejected or lost, the heartbeat has not ended; superseded if it has ended or a newer heartbeat has begun: nothing was written then
 */
export async function storeWholeHeartbeat(
  { scripts, keys }: ScriptAccess,
  heartbeat: HeartbeatWrite,
  droplets: ListedDroplets,
  {
    digest = '',
    running,
    wanted = 0,
    unwanted = [],
    delisted = [],
  }: Pick<FinishedHeartbeat, 'digest' | 'running' | 'wanted' | 'unwanted' | 'delisted'>,
): Promise<StoredDroplets | 'superseded'> {
  const names = [
    keys.deasDigest,
    keys.deaList(heartbeat.dea),
    keys.deasCount,
    keys.failover,
    keys.deasWanted,
  ];
  const args = headOf(heartbeat);
  args.push(digest, running, wanted, linesText(unwanted), linesText(delisted));
  addDroplets(keys, heartbeat, droplets, names, args);
  const reply = await scripts.run('store_whole_heartbeat', names, args);
  return reply === 'superseded' ? reply : decodeStoredDroplets(reply);
}
