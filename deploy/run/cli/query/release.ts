import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from '../../../../common/explain/wording.ts';
import { isHoldOn, type ReleasableHold } from '../../../../common/redis/fleet/holds/holds.ts';
import { release as requestRelease } from '../../../../common/redis/fleet/holds/operator-acts.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { readReleasePreview, releaseText } from '../../../../common/views/release-preview.ts';
import { actor } from '../act/who.ts';
import { type RedisSession, withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';

const WAIT_MS = 5_000;
const POLL_MS = 50;

/** The process that ends the hold, and what to check when it does not. */
const ENDED_BY: Readonly<Record<ReleasableHold, string>> = {
  mass_loss: 'an analyzer ends it within a second; check that one runs',
  mass_delete:
    'sync ends it with the next complete bulk pass; check that sync runs and the controller answers (hm check)',
};

/** `hm release <hold>`: ends a hold. */
export function release(hold: ReleasableHold, options: ConfigOption): Promise<number> {
  return withRedis(options, async (session) => {
    if (!(await isOn(session, hold))) throw new FailedError(`${hold} is not on: there is nothing to release`);
    const output = new Output();
    const who = await actor(session);
    await output.line(
      releaseText(await readReleasePreview(session.redis, hold, who.nowMs, session.settings)),
    );
    await requestRelease(session.redis, hold, who);
    await output.line(`${hold} is on; release requested`);
    const requestedMs = performance.now();
    while (await isOn(session, hold)) {
      if (performance.now() - requestedMs > WAIT_MS) {
        throw new FailedError(
          `${hold} is still on after ${formatDuration(WAIT_MS)}. The request stays in force: ${ENDED_BY[hold]}`,
        );
      }
      await delay(POLL_MS);
    }
    await output.line(`${hold} is off`);
    return 0;
  });
}

async function isOn({ redis, settings, now }: RedisSession, hold: ReleasableHold): Promise<boolean> {
  return isHoldOn(hold, await readFleetFacts(redis), await now(), settings.policy);
}
