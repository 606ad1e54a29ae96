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
  /** The ids of all apps in ascending order, for a caller that shares one read among many; absent: they are read now. */
  sortedIds?: () => Promise<readonly string[]>;
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
  const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  const candidates = await readCandidates(sources, query, after);
  const apps: AppRow[] = [];
  let nowMs = 0;
  for (let read = 0; read < READ_PER_PAGE; read += READ_AT_ONCE) {
    const next = candidates.take(Math.min(READ_AT_ONCE, Math.max(query.limit, 1)));
    const found = await readRows(sources, next);
    nowMs = found.nowMs;
    for (const [at, row] of found.rows.entries()) {
      if (row === undefined || !matches(row, query)) continue;
      apps.push(row);
      const last = next[at] as Candidate;
      const isLast = at === next.length - 1 && candidates.isEmpty;
      if (apps.length === query.limit) return { nowMs, apps, ...(!isLast && { cursor: cursorOf(last) }) };
    }
    const last = next.at(-1);
    if (last === undefined || candidates.isEmpty) return { nowMs, apps };
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

/** The apps that may be on the page, in its order. */
interface Candidates {
  /** Removes the first `n` of them. */
  take(n: number): Candidate[];
  isEmpty: boolean;
}

/** Every app, or where a problem is asked for those of the analyzer's index of droplets with problems. */
async function readCandidates(
  { redis, sortedIds }: Sources,
  { problems, search, dea, sort }: AppQuery,
  after: Candidate | undefined,
): Promise<Candidates> {
  const part = (search ?? '').toLowerCase();
  const listed = dea === undefined ? undefined : await listedDroplets(redis, dea);
  const isWanted = (id: string) =>
    (part === '' || id.toLowerCase().includes(part)) && (listed === undefined || listed.has(id));
  const isFiltered = part !== '' || listed !== undefined;
  if (problems === undefined && sort === 'guid') {
    if (sortedIds !== undefined) {
      const ids = await sortedIds();
      return new Sorted(isFiltered ? ids.filter(isWanted) : ids, after?.id);
    }
    const slices = await Promise.all(slicesOf(redis).map((slice) => readIds(redis, slice)));
    const all = slices.flat().filter(isWanted);
    return new Unsorted(
      all.map((id) => ({ id, score: 0 })),
      byId,
      after,
    );
  }
  const { client, keys } = redis;
  const lists = await Promise.all(
    slicesOf(redis).map((slice) => client.zrange(keys.troubled(slice), '0', '-1', 'WITHSCORES')),
  );
  const troubled = lists.flatMap((list) =>
    pairsOf(list).map(([id, score]) => ({ id, score: Number(score) })),
  );
  return new Unsorted(
    troubled.filter(({ id }) => isWanted(id)),
    ORDERS[sort],
    after,
  );
}

const slicesOf = ({ keys }: RedisConnections) => Array.from({ length: keys.slices }, (_, slice) => slice);

class Sorted implements Candidates {
  readonly #ids: readonly string[];
  #at = 0;

  constructor(ids: readonly string[], after: string | undefined) {
    this.#ids = ids;
    if (after !== undefined) this.#at = placeAfter(ids, after, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  take(n: number): Candidate[] {
    const taken = this.#ids.slice(this.#at, this.#at + n).map((id) => ({ id, score: 0 }));
    this.#at += taken.length;
    return taken;
  }

  get isEmpty(): boolean {
    return this.#at === this.#ids.length;
  }
}

class Unsorted implements Candidates {
  readonly #order: Order;
  #left: Candidate[];

  constructor(all: Candidate[], order: Order, after: Candidate | undefined) {
    this.#order = order;
    this.#left = after === undefined ? all : all.filter((one) => order(after, one) < 0);
  }

  take(n: number): Candidate[] {
    const taken = firstOf(this.#left, n, this.#order);
    const last = taken.at(-1);
    if (last !== undefined) this.#left = this.#left.filter((one) => this.#order(last, one) < 0);
    return taken;
  }

  get isEmpty(): boolean {
    return this.#left.length === 0;
  }
}

/** The place of the first one after `one` in a list in this order. */
function placeAfter<T>(sorted: readonly T[], one: T, order: (a: T, b: T) => number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order(sorted[middle] as T, one) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first `n` in this order; a whole sort of 100,000 apps would cost ten times as much. */
function firstOf(candidates: readonly Candidate[], n: number, order: Order): Candidate[] {
  const first: Candidate[] = [];
  for (const one of candidates) {
    const last = first.at(-1);
    if (first.length === n && last !== undefined && order(one, last) >= 0) continue;
    first.splice(placeAfter(first, one, order), 0, one);
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
    missing: missing > states.EXPECTED,
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
