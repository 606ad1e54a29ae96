import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from '../../../../common/explain/wording.ts';
import { askRelease, isOn, type ReleasableHold } from '../../../../common/redis/holds.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { type Query, withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output } from '../output/output.ts';

const WAIT_MS = 5_000;
const POLL_MS = 50;

/** Who ends the hold, and how soon. */
const ENDED_BY: Readonly<Record<ReleasableHold, string>> = {
  mass_loss: 'an analyzer ends it within a second: does one run?',
  mass_delete:
    'it ends with the next complete bulk pass: does sync run, and does the controller answer? (hm check)',
};

/** `hm release <hold>`: an operator ends a hold now. */
export function release(hold: ReleasableHold, options: ConfigOption): Promise<number> {
  return withRedis(options, async (query) => {
    if (!(await stands(query, hold))) throw new FailedError(`${hold} is not on: there is nothing to release`);
    const output = new Output();
    await output.line(`${hold} is on; its end is asked for`);
    const askedMs = performance.now();
    await askRelease(query.redis, hold, await query.now());
    while (await stands(query, hold)) {
      if (performance.now() - askedMs > WAIT_MS) {
        throw new FailedError(
          `${hold} is still on, ${formatDuration(WAIT_MS)} later. The request stands: ${ENDED_BY[hold]}`,
        );
      }
      await delay(POLL_MS);
    }
    await output.line(`${hold} is off`);
    return 0;
  });
}

async function stands({ redis, settings, now }: Query, hold: ReleasableHold): Promise<boolean> {
  return isOn(hold, await readFleetFacts(redis), await now(), settings.policy);
}
