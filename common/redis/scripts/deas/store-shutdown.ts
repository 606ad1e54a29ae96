import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/**
 * Stores that a DEA announced its shutdown.
 *
 * @param keptMs how long that of a DEA without a heartbeat is kept, which may only be stored later (ms)
 * @returns kept if no heartbeat of the DEA is known
 */
export async function storeShutdown(
  { scripts, keys }: ScriptAccess,
  { dea, receivedMs, keptMs }: { dea: string; receivedMs: number; keptMs: number },
): Promise<'stored' | 'kept'> {
  const names = [keys.deasLastHeartbeat, keys.deasShutdown, keys.deaList(dea)];
  const reply = await scripts.run('store_shutdown', names, [dea, receivedMs, keptMs]);
  return decodeCode(reply, 'stored', 'kept');
}
