import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Removes a DEA whose last heartbeat is older than `beforeMs`. @returns kept if it sent one since */
export async function expireDea(
  { scripts, keys }: ScriptAccess,
  { dea, beforeMs }: { dea: string; beforeMs: number },
): Promise<'expired' | 'kept'> {
  const reply = await scripts.run(
    'expire_dea',
    [
      keys.deasLastHeartbeat,
      keys.deasPreviousHeartbeat,
      keys.deasDigest,
      keys.deasCount,
      keys.deasShutdown,
      keys.deasLost,
      keys.deaList(dea),
      keys.deasWanted,
    ],
    [dea, beforeMs],
  );
  return decodeCode(reply, 'expired', 'kept');
}
