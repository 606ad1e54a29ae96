import type { Droplet, Holds } from '../../common/droplet.ts';
import type { DropletView } from '../../common/explain-facts.ts';
import { type Present, presentOf } from '../../common/explain-present.ts';
import type { Times } from '../../common/explain-words.ts';
import { readDeas, readDroplets } from '../../common/state.ts';
import type { Query } from './query.ts';
import { type Painter, troubleOf } from './trouble.ts';

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
  /** How many were looked at. */
  looked: number;
}

/** Droplets read at most: a look costs Redis about 10 us each. */
const LOOKED_AT_MOST = 200;

const plain: Painter = (_tone, text) => text;

/**
 * The droplets that are worst off, without reading all: whatever is missing, flapping, held or to be stopped is in
 * the due lists, as somebody has to look at it again. Of these the ones that are due first are looked at.
 *
 * @param besides others to look at
 */
export async function readWorst(
  query: Query,
  holds: Holds,
  times: Times,
  besides: Iterable<string>,
): Promise<Worst> {
  const { redis, settings } = query;
  const { client, keys } = redis;
  const perSlice = Math.ceil(LOOKED_AT_MOST / keys.slices) + 1;
  const due = await Promise.all(
    Array.from({ length: keys.slices }, (_, slice) =>
      client.zrange(keys.due(slice), '0', String(perSlice - 1)),
    ),
  );
  const ids = [...new Set([...besides, ...due.flat()])].slice(0, LOOKED_AT_MOST);
  const records = await readDroplets(redis, ids);
  const droplets = records.filter(
    (record): record is Droplet => record !== undefined && !(record instanceof Error),
  );
  const nowMs = await query.now();
  const deas = await readDeas(redis, droplets);
  const troubled = droplets.flatMap((droplet): Troubled[] => {
    const view: DropletView = { droplet, deas, nowMs, policy: settings.policy };
    const present = presentOf(view, holds, times);
    const trouble = troubleOf(present, plain);
    if (trouble.length === 0) return [];
    const { wanted, running } = present;
    return [{ droplet: droplet.id, wanted, running, text: trouble.join('; ') }];
  });
  return { droplets: troubled.sort(worseFirst), looked: droplets.length };
}

/** By the share that does not run, then by how many these are, then by id so that the order stands still. */
function worseFirst(a: Troubled, b: Troubled): number {
  return (
    shareMissing(b) - shareMissing(a) ||
    b.wanted - b.running - (a.wanted - a.running) ||
    (a.droplet < b.droplet ? -1 : 1)
  );
}

function shareMissing({ wanted, running }: Pick<Present, 'wanted' | 'running'>): number {
  return wanted === 0 ? 0 : (wanted - running) / wanted;
}
