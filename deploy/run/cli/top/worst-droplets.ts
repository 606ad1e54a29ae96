import { presentOf } from '../../../../common/explain/present.ts';
import type { Times } from '../../../../common/explain/wording.ts';
import type { Droplet, Holds } from '../../../../common/model/droplet.ts';
import { readDeas } from '../../../../common/redis/readers.ts';
import { readDroplets } from '../../../../common/redis/scripts/droplets/read-droplets.ts';
import { readWorstIds } from '../../../../common/views/troubled.ts';
import type { Query } from '../connection/with-redis.ts';
import { type Painter, troubleOf } from '../query/trouble.ts';

/** A droplet that is not as it should be. */
export interface Troubled {
  droplet: string;
  wanted: number;
  running: number;
  /** What is wrong, and what happens next. */
  text: string;
}

export interface Worst {
  /** Worst first. */
  droplets: Troubled[];
  /** How many there are in all. */
  count: number;
}

const plain: Painter = (_tone, text) => text;

/** The droplets that are worst off, by the index that the analyzer keeps of those that are not as they should be. */
export async function readWorst(query: Query, holds: Holds, times: Times): Promise<Worst> {
  const { redis, settings } = query;
  const { ids, count } = await readWorstIds(redis);
  const records = await readDroplets(redis, ids);
  const droplets = records.filter(
    (record): record is Droplet => record !== undefined && !(record instanceof Error),
  );
  const nowMs = await query.now();
  const deas = await readDeas(redis, droplets);
  const troubled = droplets.flatMap((droplet): Troubled[] => {
    const present = presentOf({ droplet, deas, nowMs, settings: settings.policy }, holds, times);
    const trouble = troubleOf(present, plain);
    // Well by now: the index follows with the next look at it.
    if (trouble.length === 0) return [];
    const { wanted, running } = present;
    return [{ droplet: droplet.id, wanted, running, text: trouble.join('; ') }];
  });
  return { droplets: troubled, count: count - (ids.length - troubled.length) };
}
