import type { ScriptAccess, ScriptArgument } from '../scripts.ts';

/** A heartbeat by its digest only. */
export interface HeartbeatDigest {
  digest: string;
  receivedMs: number;
}

/**
 * Stores when DEAs sent a heartbeat, for heartbeats that equal the last one of their DEA.
 *
 * @param heartbeats by DEA
 * @returns the DEAs whose heartbeat must be stored as a whole; nothing was written for them
 */
export async function touchDeas(
  { scripts, keys }: ScriptAccess,
  { dropletLostMs, heartbeats }: { dropletLostMs: number; heartbeats: ReadonlyMap<string, HeartbeatDigest> },
): Promise<string[]> {
  const args: ScriptArgument[] = [dropletLostMs];
  for (const [dea, { digest, receivedMs }] of heartbeats) args.push(dea, digest, receivedMs);
  const reply = await scripts.run(
    'touch_deas',
    [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest],
    args,
  );
  return reply as string[];
}
