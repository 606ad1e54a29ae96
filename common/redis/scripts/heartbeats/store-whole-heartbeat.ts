import { decodeCountOrSuperseded } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';
import type { FinishedHeartbeat } from './finish-heartbeat.ts';
import { addDroplets, type HeartbeatWrite, headOf, type ListedDroplets } from './store-heartbeat-droplets.ts';

/**
 * Writes all droplets of a heartbeat and ends it, in one call. Not for a cluster, and for no more than DROPLETS_PER_CALL.
 *
 * @returns how many droplets changed; superseded if it has ended or a newer heartbeat has begun: nothing was written then
 */
export async function storeWholeHeartbeat(
  { scripts, keys }: ScriptAccess,
  heartbeat: HeartbeatWrite,
  droplets: ListedDroplets,
  { digest, running }: Pick<FinishedHeartbeat, 'digest' | 'running'>,
): Promise<number | 'superseded'> {
  const { dea } = heartbeat;
  const names = [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover];
  const args = headOf(heartbeat);
  args.push(digest, running);
  addDroplets(keys, dea, droplets, names, args);
  return decodeCountOrSuperseded(await scripts.run('store_whole_heartbeat', names, args));
}
