import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** A heartbeat whose droplets are all written. */
export interface FinishedHeartbeat {
  dea: string;
  /** As `beginHeartbeat` gave it. */
  atMs: number;
  digest: string;
  /** How many running instances it lists. */
  running: number;
  /** As `beginHeartbeat` gave it. */
  dataEpoch?: string | undefined;
  /** In a cluster: droplets that were written and that it does not list. */
  delisted?: readonly string[];
}

/** Ends what `beginHeartbeat` began. @returns superseded if a newer heartbeat has begun: that one then writes everything */
export async function finishHeartbeat(
  { scripts, keys }: ScriptAccess,
  { dea, atMs, digest, running, dataEpoch = '', delisted = [] }: FinishedHeartbeat,
): Promise<'finished' | 'superseded'> {
  const reply = await scripts.run(
    'finish_heartbeat',
    [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover],
    [atMs, dea, digest, running, dataEpoch, delisted.map((droplet) => `${droplet}\n`).join('')],
  );
  return decodeCode(reply, 'finished', 'superseded');
}
