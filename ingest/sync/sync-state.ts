import type { Settings } from '../../common/config/settings.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { RELEASE_FIELD } from '../../common/redis/holds.ts';

/** The state of the bulk sync in Redis; times in ms on Redis's clock, absent if it never happened. */
export interface SyncState {
  /** When the latest pass began. */
  begunMs?: number;
  /** When a pass last completed, failed, or was aborted because its process stopped. */
  succeededMs?: number;
  failedMs?: number;
  abortedMs?: number;
  /** When a pass was last requested. */
  wantedMs?: number;
  /** When a page was last received. */
  lastReplyMs?: number;
  /** Writes of earlier passes are lost: the next pass must write every entry and search for every droplet. */
  rewrite: boolean;
  /** The current data epoch of a cluster, and that of the latest pass that wrote every entry; null outside a cluster. */
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

/** Whether an operator has released the hold `mass_delete`; the next complete pass applies it. */
export async function readRelease({ client, keys }: RedisConnections): Promise<boolean> {
  return (await client.hexists(keys.holds, RELEASE_FIELD.mass_delete)) === 1;
}

/**
 * When the next pass should begin (epoch ms): at once if one is requested or was aborted; `postpone_update` after a failed
 * one; otherwise `desired_state_update` after the latest began, even if its process died.
 */
export function nextPassMs(
  state: SyncState,
  settings: Pick<Settings, 'syncPeriodMs' | 'postponeUpdateMs'>,
): number {
  const { begunMs, wantedMs = 0, succeededMs = 0, failedMs = 0, abortedMs = 0 } = state;
  if (begunMs === undefined) return 0;
  // Only a pass that began after an update ends the hold of that update.
  if (wantedMs >= begunMs) return wantedMs;
  const endedMs = Math.max(succeededMs, failedMs, abortedMs);
  if (endedMs >= begunMs && abortedMs === endedMs) return abortedMs;
  if (endedMs >= begunMs && failedMs === endedMs && failedMs !== succeededMs) {
    return failedMs + settings.postponeUpdateMs;
  }
  return begunMs + settings.syncPeriodMs;
}
