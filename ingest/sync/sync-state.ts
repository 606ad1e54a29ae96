import type { Settings } from '../../common/config/settings.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { RELEASE_FIELD } from '../../common/redis/fleet/holds/holds.ts';
import type { SyncState } from '../../common/redis/fleet/sync-state.ts';

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
  const { begunMs, requestedMs = 0, succeededMs = 0, failedMs = 0, abortedMs = 0 } = state;
  if (begunMs === undefined) return 0;
  // Only a pass that began after an update ends the hold of that update.
  if (requestedMs >= begunMs) return requestedMs;
  const endedMs = Math.max(succeededMs, failedMs, abortedMs);
  if (endedMs >= begunMs && abortedMs === endedMs) return abortedMs;
  if (endedMs >= begunMs && failedMs === endedMs && failedMs !== succeededMs) {
    return failedMs + settings.postponeUpdateMs;
  }
  return begunMs + settings.syncPeriodMs;
}
