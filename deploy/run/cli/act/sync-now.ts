import { setTimeout as delay } from 'node:timers/promises';
import { countText, formatDuration } from '../../../../common/explain/wording.ts';
import { syncNow } from '../../../../common/redis/fleet/holds/operator-acts.ts';
import { readSyncState } from '../../../../common/redis/fleet/sync-state.ts';
import { withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';
import { actor } from './who.ts';

/** A sync process begins a requested pass within a second. */
const BEGIN_MS = 5_000;
const POLL_MS = 100;

/** `hm sync --now`: requests a bulk sync and waits for its end. */
export function requestSyncAndWait(options: ConfigOption): Promise<number> {
  return withRedis(options, async (session) => {
    const who = await actor(session);
    await syncNow(session.redis, who);
    const output = new Output();
    await output.line('bulk sync requested');
    const requested = performance.now();
    for (;;) {
      const {
        begunMs = 0,
        completedMs = 0,
        failedMs = 0,
        durationMs = 0,
        listed = 0,
      } = await readSyncState(session.redis);
      if (completedMs >= who.nowMs) {
        await output.line(`${countText(listed, 'app')} listed in ${formatDuration(durationMs)}`);
        return 0;
      }
      if (failedMs >= who.nowMs) {
        const error = await session.redis.client.hget(session.redis.keys.syncState, 'error');
        throw new FailedError(`the bulk sync failed: ${error ?? 'see the log of sync'}`);
      }
      if (begunMs < who.nowMs && performance.now() - requested > BEGIN_MS)
        throw new FailedError(
          `no bulk sync began within ${formatDuration(BEGIN_MS)}. The request stays in force: check that sync runs (hm ps)`,
        );
      await delay(POLL_MS);
    }
  });
}
