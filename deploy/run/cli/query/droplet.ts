import { presentOf } from '../../../../common/explain/present/present.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import { dropletJson } from '../../../../common/views/droplet/droplet-json.ts';
import { readSurroundings } from '../../../../common/views/droplet/surroundings.ts';
import { withRedis } from '../connection/with-redis.ts';
import { FailedError } from '../errors.ts';
import type { ConfigOption } from '../options.ts';
import { Output, painter } from '../output/output.ts';
import { DRY_RUN, presentLines } from './droplet-text.ts';
import { readDroplet } from './read-droplet.ts';

export interface DropletOptions extends ConfigOption {
  json?: boolean;
  utc?: boolean;
}

/** `hm droplet <guid>`: the present state of one droplet. */
export function droplet(id: string, options: DropletOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const { redis, settings } = session;
    const view = await readDroplet(session, id);
    if (view === undefined) throw new FailedError(`droplet ${id}: unknown`);
    const { nowMs } = view;
    const { holds, workers, unknown } = await readSurroundings(redis, nowMs, settings.policy);
    const times = timesOf(nowMs, options.utc === true);
    const output = new Output();
    if (options.json) {
      const names = presentOf(view, holds, times).holds.map(({ name }) => name);
      await output.line(JSON.stringify({ ...dropletJson(view), holds: names }, null, 2));
      return 0;
    }
    const present = presentOf(view, holds, times, workers);
    const lines = presentLines(view, present, times, {
      onlyTrouble: false,
      unknown: unknown(present.running),
    });
    const head = `${painter()('bold', id)}, first seen ${times.at(view.droplet.firstSeenMs)}`;
    await output.write(`${[head, ...(settings.dryRun ? [DRY_RUN] : []), ...lines].join('\n')}\n`);
    return 0;
  });
}
