import { pairsOf } from '../../pairs.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface LostDea {
  dea: string;
  lastHeartbeatMs: number;
}

/** The DEAs that were silent for longer than `dropletLostMs` at `nowMs` and whose droplets have not been made due since. */
export async function listLostDeas(
  { scripts, keys }: ScriptAccess,
  { nowMs, dropletLostMs }: { nowMs: number; dropletLostMs: number },
): Promise<LostDea[]> {
  const reply = await scripts.run(
    'list_lost_deas',
    [keys.deasLastHeartbeat, keys.deasLost],
    [nowMs, dropletLostMs],
  );
  return pairsOf(reply as string[]).map(([dea, last]) => ({ dea, lastHeartbeatMs: Number(last) }));
}
