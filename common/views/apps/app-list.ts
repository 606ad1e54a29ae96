/** The apps: filtered, sorted, page by page. A page reads the records of its apps, and never those of all apps. */
import type { Workers } from '../../explain/present/present.ts';
import type { Holds } from '../../model/droplet.ts';
import type { PolicySettings } from '../../policy/settings.ts';
import { isDesired, wantedIndices } from '../../policy/slots/wanted.ts';
import { type Snapshot, takeSnapshot } from '../../policy/snapshot.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { listedDroplets } from '../../redis/fleet/dea-list.ts';
import { pairsOf } from '../../redis/records/pairs.ts';
import { type DropletReads, isRead, readIds } from '../../redis/records/readers.ts';
import type { AppPage, AppProblem, AppRow, AppSort } from './app-list-types.ts';
import { troubleOf } from './troubled.ts';
import type { TroubledDroplet } from './troubled-types.ts';

export interface AppQuery {
  /** Apps that have one of these; absent: all apps. */
  problems?: readonly AppProblem[];
  /** A part of the guid, in any case. */
  search?: string;
  /** Apps of which this DEA lists an instance. */
  dea?: string;
  sort: AppSort;
  /** Rows of a page. */
  limit: number;
  /** From the page before. */
  cursor?: string;
}

interface Sources {
  redis: RedisConnections;
  reader: { read(ids: readonly string[]): Promise<DropletReads> };
  holds: Holds;
  workers: Workers;
  policy: PolicySettings;
}

/** Records that are read at once. */
const READ_AT_ONCE = 200;
/** Records that one page reads: a rare problem may be found only on a later page, which then may be short. */
const READ_PER_PAGE = 2_000;

/** An app that may be on the page. */
interface Candidate {
  id: string;
  /** Of the index of troubled droplets; 0 without a problem. */
  score: number;
}

export async function readAppPage(sources: Sources, query: AppQuery): Promise<AppPage> {
  const order = ORDERS[query.sort];
  const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  const search = (query.search ?? '').toLowerCase();
  let left = (await readCandidates(sources.redis, query)).filter(
    (one) =>
      (after === undefined || order(after, one) < 0) &&
      (search === '' || one.id.toLowerCase().includes(search)),
  );
  const apps: AppRow[] = [];
  let nowMs = 0;
  for (let read = 0; read < READ_PER_PAGE; read += READ_AT_ONCE) {
    const next = firstOf(left, Math.min(READ_AT_ONCE, Math.max(query.limit, 1)), order);
    const found = await readRows(sources, next);
    nowMs = found.nowMs;
    for (const [at, row] of found.rows.entries()) {
      if (row === undefined || !matches(row, query)) continue;
      apps.push(row);
      const last = next[at] as Candidate;
      const isLast = at === next.length - 1 && next.length === left.length;
      if (apps.length === query.limit) return { nowMs, apps, ...(!isLast && { cursor: cursorOf(last) }) };
    }
    const last = next.at(-1);
    if (last === undefined || next.length === left.length) return { nowMs, apps };
    left = left.filter((one) => order(last, one) < 0);
    if (read + READ_AT_ONCE >= READ_PER_PAGE) return { nowMs, apps, cursor: cursorOf(last) };
  }
  return { nowMs, apps };
}

type Order = (a: Candidate, b: Candidate) => number;

const byId: Order = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const ORDERS: Readonly<Record<AppSort, Order>> = {
  guid: byId,
  worst: (a, b) => b.score - a.score || byId(a, b),
};

/** Every app, or where a problem is asked for those of the analyzer's index of droplets with problems. */
async function readCandidates(
  redis: RedisConnections,
  { problems, dea, sort }: AppQuery,
): Promise<Candidate[]> {
  const { client, keys } = redis;
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  const inAny = async () => {
    if (problems === undefined && sort === 'guid') {
      const ids = await Promise.all(slices.map((slice) => readIds(redis, slice)));
      return ids.flat().map((id) => ({ id, score: 0 }));
    }
    const lists = await Promise.all(
      slices.map((slice) => client.zrange(keys.troubled(slice), '0', '-1', 'WITHSCORES')),
    );
    return lists.flatMap((list) => pairsOf(list).map(([id, score]) => ({ id, score: Number(score) })));
  };
  if (dea === undefined) return inAny();
  const [all, listed] = await Promise.all([inAny(), listedDroplets(redis, dea)]);
  return all.filter(({ id }) => listed.has(id));
}

/** The first `n` in this order; a whole sort of 100,000 apps would cost ten times as much. */
function firstOf(candidates: readonly Candidate[], n: number, order: Order): Candidate[] {
  const first: Candidate[] = [];
  for (const one of candidates) {
    const last = first.at(-1);
    if (first.length === n && last !== undefined && order(one, last) >= 0) continue;
    let [low, high] = [0, first.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order(first[middle] as Candidate, one) < 0) low = middle + 1;
      else high = middle;
    }
    first.splice(low, 0, one);
    if (first.length > n) first.pop();
  }
  return first;
}

async function readRows(
  { reader, holds, workers, policy }: Sources,
  candidates: readonly Candidate[],
): Promise<{ nowMs: number; rows: (AppRow | undefined)[] }> {
  const { droplets, deas, nowMs } = await reader.read(candidates.map(({ id }) => id));
  const rows = droplets.map((droplet) =>
    isRead(droplet) ? rowOf(takeSnapshot(droplet, deas, holds, nowMs, policy), workers) : undefined,
  );
  return { nowMs, rows };
}

function rowOf(snapshot: Snapshot, workers: Workers): AppRow {
  const { droplet, live } = snapshot;
  const trouble = troubleOf(snapshot, workers);
  const wanted = wantedIndices(droplet);
  return {
    droplet: droplet.id,
    wanted,
    live: trouble?.live ?? [...live.keys()].filter((index) => index < wanted).length,
    ...(isDesired(droplet) && droplet.desired && { state: droplet.desired.state }),
    problems: trouble === undefined ? [] : problemsOf(trouble),
    ...(trouble && { trouble }),
  };
}

export function problemsOf({ missing, states, stops }: TroubledDroplet): AppProblem[] {
  const has: Record<AppProblem, boolean> = {
    missing: missing > 0,
    flapping: states.FLAPPING > 0,
    'given-up': states['GIVEN UP'] > 0,
    unplaced: states.UNPLACED > 0,
    held: states.HELD > 0 || stops.some(({ held }) => held !== undefined),
    surplus: stops.length > 0,
  };
  return (Object.keys(has) as AppProblem[]).filter((problem) => has[problem]);
}

function matches({ problems }: AppRow, query: AppQuery): boolean {
  if (query.problems === undefined) return query.sort === 'guid' || problems.length > 0;
  return query.problems.some((problem) => problems.includes(problem));
}

function cursorOf({ id, score }: Candidate): string {
  return `${score}:${id}`;
}

/** Any text is a valid cursor: of an edited one the page begins elsewhere. */
function parseCursor(cursor: string): Candidate {
  const at = cursor.indexOf(':');
  const score = Number(cursor.slice(0, Math.max(0, at)));
  return { id: cursor.slice(at + 1), score: Number.isFinite(score) ? score : 0 };
}
