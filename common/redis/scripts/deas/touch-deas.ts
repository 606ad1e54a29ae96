import { verifyEveryMs, watermarkGapMs } from '../../../policy/thresholds.ts';
import type { ScriptAccess, ScriptArgument } from '../scripts.ts';

/** A heartbeat by its digest only. */
export interface HeartbeatDigest {
  digest: string;
  receivedMs: number;
  /** The earliest time at which it may have been delivered to this process (ms). */
  earliestMs: number;
}

export interface TouchedDeas {
  /** The DEAs whose heartbeat must be stored as a whole; nothing was written for them. */
  changed: string[];
  /** The DEAs whose turn it is to have their droplets verified: once in `verifyEveryMs` for each of them. */
  verify: string[];
}

/**
 * Stores when DEAs sent a heartbeat, for heartbeats that equal the last one of their DEA.
 *
 * @param heartbeats by DEA
 */
export async function touchDeas(
  { scripts, keys }: ScriptAccess,
  { dropletLostMs, heartbeats }: { dropletLostMs: number; heartbeats: ReadonlyMap<string, HeartbeatDigest> },
): Promise<TouchedDeas> {
  let lagMs = 0;
  for (const { receivedMs, earliestMs } of heartbeats.values())
    lagMs = Math.max(lagMs, receivedMs - earliestMs);
  const settings = { dropletLostMs };
  const args: ScriptArgument[] = [
    ...[dropletLostMs, Math.ceil(lagMs)],
    ...[verifyEveryMs(settings), watermarkGapMs(settings)],
  ];
  for (const [dea, { digest, receivedMs }] of heartbeats) args.push(dea, digest, receivedMs);
  const reply = await scripts.run(
    'touch_deas',
    [
      ...[keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest, keys.deasShutdown],
      ...[keys.listening, keys.deasLost],
    ],
    args,
  );
  const [changed, verify] = reply as [string[], string[]];
  return { changed, verify };
}
