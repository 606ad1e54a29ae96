/** The DEAs and their states. */

import type { DeaCounts, DeaState } from '../model/dea-states.ts';
import type { ListeningGap } from '../model/droplet.ts';
import { listenedAgoMs } from '../policy/fleet/listening-time.ts';
import { lostBefore, type SilenceState, silenceStates } from '../policy/fleet/liveness.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { lateAfterMs } from '../policy/thresholds.ts';
import type { RedisConnections } from '../redis/connection/connections.ts';
import { decodeLiveness } from '../redis/fleet/dea-liveness.ts';
import { pairsOf } from '../redis/records/pairs.ts';

export interface Dea {
  dea: string;
  state: DeaState;
  lastHeartbeatMs: number;
  /** Listed by its latest heartbeat. */
  instances: number;
}

/** Shut-down marks whose heartbeats are read in one command. */
const MARKS_PER_READ = 1_000;

/** @param hasShutDown it sent `dea.shutdown`, and no heartbeat since */
export function deaStateOf(silence: SilenceState, hasShutDown: boolean): DeaState {
  if (!hasShutDown) return silence;
  return silence === 'lost' ? 'left' : 'leaving';
}

/** Reads all known DEAs, in three commands. @param silenceOf see `silenceStates` */
export async function readAllDeas(
  { client, keys }: RedisConnections,
  silenceOf: (lastHeartbeatMs: number) => SilenceState,
): Promise<Dea[]> {
  const [lastHeartbeats, counts, shutdown] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1', 'WITHSCORES'),
    client.hgetall(keys.deasCount),
    client.hkeys(keys.deasShutdown),
  ]);
  const hasShutDown = new Set(shutdown);
  const deas: Dea[] = [];
  for (const [dea, score] of pairsOf(lastHeartbeats)) {
    const { lastHeartbeatMs } = decodeLiveness(score);
    const state = deaStateOf(silenceOf(lastHeartbeatMs), hasShutDown.has(dea));
    deas.push({
      dea,
      state,
      lastHeartbeatMs,
      instances: Number(Object.hasOwn(counts, dea) ? counts[dea] : 0),
    });
  }
  return deas;
}

/** Counts all known DEAs by state, without reading them: only those that sent `dea.shutdown` are looked up. */
export async function countDeas(
  { client, keys }: RedisConnections,
  gaps: readonly ListeningGap[],
  nowMs: number,
  policy: PolicySettings,
): Promise<DeaCounts> {
  const lateBeforeMs = listenedAgoMs(nowMs, lateAfterMs(policy), gaps);
  const lostBeforeMs = lostBefore(nowMs, gaps, policy);
  const [alive, late, lost, shutdown] = await Promise.all([
    client.zcount(keys.deasLastHeartbeat, lateBeforeMs, '+inf'),
    client.zcount(keys.deasLastHeartbeat, lostBeforeMs, `(${lateBeforeMs}`),
    client.zcount(keys.deasLastHeartbeat, '-inf', `(${lostBeforeMs}`),
    client.hkeys(keys.deasShutdown),
  ]);
  const counts: DeaCounts = { alive, late, lost, leaving: 0, left: 0 };
  const silenceOf = silenceStates(nowMs, gaps, policy);
  for (let at = 0; at < shutdown.length; at += MARKS_PER_READ) {
    const marked = shutdown.slice(at, at + MARKS_PER_READ);
    for (const score of await client.zmscore(keys.deasLastHeartbeat, marked)) {
      if (score === null) continue; // its heartbeats have expired
      const silence = silenceOf(Number(score));
      // A heartbeat between the commands may move it: no count goes below zero.
      counts[silence] = Math.max(0, counts[silence] - 1);
      counts[deaStateOf(silence, true)]++;
    }
  }
  return counts;
}
