import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** A heartbeat whose droplets are all written. */
export interface FinishedHeartbeat {
  dea: string;
  /** As `beginHeartbeat` gave it. */
  atMs: number;
  /** Absent if something was rejected: the next heartbeat is then stored whole, although it may be equal. */
  digest?: string | undefined;
  /** How many running instances it lists. */
  running: number;
  /** How many instances it lists of droplets of which the DEA holds a wanted slot. */
  wanted?: number;
  /** The droplets that it lists and of which it holds none. */
  unwanted?: readonly string[];
  /** Droplets of which it lists another index or version of an instance than the record has: they do not count as listed before. */
  misfits?: readonly string[];
  /** As `beginHeartbeat` gave it. */
  dataEpoch?: string | undefined;
  /** Droplets that it ceased to list. */
  delisted?: readonly string[];
}

/** Ends what `beginHeartbeat` began. @returns superseded if a newer heartbeat has begun: that one then writes everything */
export async function finishHeartbeat(
  { scripts, keys }: ScriptAccess,
  {
    dea,
    atMs,
    digest = '',
    running,
    wanted = 0,
    unwanted = [],
    misfits = [],
    dataEpoch = '',
    delisted = [],
  }: FinishedHeartbeat,
): Promise<'finished' | 'superseded'> {
  const reply = await scripts.run(
    'finish_heartbeat',
    [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover, keys.deasWanted],
    [
      atMs,
      dea,
      digest,
      running,
      dataEpoch,
      linesText(delisted),
      wanted,
      linesText(unwanted),
      linesText(misfits),
    ],
  );
  return decodeCode(reply, 'finished', 'superseded');
}

/** A line for each droplet. */
export function linesText(droplets: readonly string[]): string {
  return droplets.map((droplet) => `${droplet}\n`).join('');
}
