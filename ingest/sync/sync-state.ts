import type { Settings } from '../../common/config/settings.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { RELEASE_FIELD } from '../../common/redis/holds.ts';

/** What Redis remembers of the passes; times in ms on Redis's clock. Absent: never was. */
export interface SyncState {
  /** Begin of the latest pass. */
  begunMs?: number;
  /** Ends of the latest pass that completed, failed, was broken off because its process was stopped. */
  succeededMs?: number;
  failedMs?: number;
  abortedMs?: number;
  /** When somebody last asked for a pass. */
  wantedMs?: number;
  /** When a page was last read. */
  lastReplyMs?: number;
  /** Some of what was written is lost: a pass must write everything anew, and look for what it does not list. */
  rewrite: boolean;
  /** So often data may have been lost in a cluster, and the latest pass that wrote everything knew of so many. */
  dataEpoch: string | null;
  rewrittenAtEpoch: string | null;
}

export async function readSyncState({ client, keys }: RedisConnections): Promise<SyncState> {
  const [dataEpoch, fields] = await Promise.all([
    client.hget(keys.failover, 'data_epoch'),
    client.hmget(
      keys.syncState,
      ...['begun', 'succeeded', 'failed', 'aborted', 'wanted', 'last_reply', 'rewrite', 'rewritten_at_epoch'],
    ),
  ]);
  const [begunMs, succeededMs, failedMs, abortedMs, wantedMs, lastReplyMs, rewrite, rewrittenAtEpoch = null] =
    fields;
  const texts = { begunMs, succeededMs, failedMs, abortedMs, wantedMs, lastReplyMs };
  const state: SyncState = { rewrite: Boolean(rewrite), dataEpoch, rewrittenAtEpoch };
  for (const [name, text] of Object.entries(texts) as [keyof typeof texts, string | null][]) {
    if (text) state[name] = Number(text);
  }
  return state;
}

/** Whether an operator has released the hold `mass_delete`; the next complete pass does it. */
export async function readRelease({ client, keys }: RedisConnections): Promise<boolean> {
  return (await client.hexists(keys.holds, RELEASE_FIELD.mass_delete)) === 1;
}

/**
 * When the next pass should begin (epoch ms): at once if one is wanted or was broken off; `postpone_update`
 * after one that failed; else `desired_state_update` after the last began, whether that one ended or died.
 */
export function nextPassMs(
  state: SyncState,
  settings: Pick<Settings, 'syncPeriodMs' | 'postponeUpdateMs'>,
): number {
  const { begunMs, wantedMs = 0, succeededMs = 0, failedMs = 0, abortedMs = 0 } = state;
  if (begunMs === undefined) return 0;
  // A pass lifts the hold of an update only if it began after it.
  if (wantedMs >= begunMs) return wantedMs;
  const endedMs = Math.max(succeededMs, failedMs, abortedMs);
  if (endedMs >= begunMs && abortedMs === endedMs) return abortedMs;
  if (endedMs >= begunMs && failedMs === endedMs && failedMs !== succeededMs) {
    return failedMs + settings.postponeUpdateMs;
  }
  return begunMs + settings.syncPeriodMs;
}
