import { presentOf, type Workers } from '../../../../common/explain/present/present.ts';
import type { Times } from '../../../../common/explain/wording.ts';
import type { Droplet, Holds } from '../../../../common/model/droplet.ts';
import { lostBefore } from '../../../../common/policy/fleet/liveness.ts';
import { readDeas } from '../../../../common/redis/records/readers.ts';
import { readDroplets } from '../../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { readWorstIds } from '../../../../common/views/apps/troubled.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import { type Painter, troubleOf } from '../query/trouble.ts';

/** A droplet with problems. */
export interface Troubled {
  droplet: string;
  wanted: number;
  running: number;
  /** The problems, each with what happens next. */
  text: string;
}

export interface Worst {
  /** Worst first. */
  droplets: Troubled[];
  /** The number of all droplets with problems. */
  count: number;
}

const plain: Painter = (_tone, text) => text;

/** The droplets with the worst problems, from the analyzer's index of droplets with problems. */
export async function readWorst(
  session: RedisSession,
  { holds, workers }: { holds: Holds; workers: Workers },
  times: Times,
): Promise<Worst> {
  const { redis, settings } = session;
  const { ids, count } = await readWorstIds(redis);
  const records = await readDroplets(redis, ids);
  const droplets = records.filter(
    (record): record is Droplet => record !== undefined && !(record instanceof Error),
  );
  const nowMs = await session.now();
  const deas = await readDeas(redis, droplets);
  const lostBeforeMs = lostBefore(nowMs, holds.listeningGaps, settings.policy);
  const troubled = droplets.flatMap((droplet): Troubled[] => {
    const view = { droplet, deas, nowMs, lostBeforeMs, settings: settings.policy };
    const present = presentOf(view, holds, times, workers);
    const trouble = troubleOf(present, plain);
    // Healthy by now: the next reconcile removes it from the index.
    if (trouble.length === 0) return [];
    const { wanted, running } = present;
    return [{ droplet: droplet.id, wanted, running, text: trouble.join('; ') }];
  });
  return { droplets: troubled, count: count - (ids.length - troubled.length) };
}
