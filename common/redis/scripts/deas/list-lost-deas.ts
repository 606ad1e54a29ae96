import { pairsOf } from '../../records/pairs.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface LostDea {
  dea: string;
  lastHeartbeatMs: number;
}

/** The DEAs whose last heartbeat was before `lostBeforeMs` and whose droplets have not been made due since. */
export async function listLostDeas(
  { scripts, keys }: ScriptAccess,
  { lostBeforeMs }: { lostBeforeMs: number },
): Promise<LostDea[]> {
  const reply = await scripts.run('list_lost_deas', [keys.deasLastHeartbeat, keys.deasLost], [lostBeforeMs]);
  return pairsOf(reply as string[]).map(([dea, last]) => ({ dea, lastHeartbeatMs: Number(last) }));
}
