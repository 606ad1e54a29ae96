import {
  type Heartbeat,
  type HeartbeatEntry,
  parseHeartbeat,
} from '../../common/messages/incoming/incoming.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { linesOf } from '../../common/redis/fleet/dea-list.ts';
import {
  type BegunHeartbeat,
  beginHeartbeat,
} from '../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { finishHeartbeat } from '../../common/redis/scripts/heartbeats/finish-heartbeat.ts';
import {
  type Claim,
  DROPLETS_PER_CALL,
  type HeartbeatWrite,
  INSTANCES_PER_CALL,
  type ListedDroplets,
  mergeStored,
  type Refusal,
  type StoredDroplets,
  storeHeartbeatDroplets,
} from '../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { storeWholeHeartbeat } from '../../common/redis/scripts/heartbeats/store-whole-heartbeat.ts';
import { ATTRIBUTES, SPANS, setSpanAttributes, traced, traceparent } from '../../common/tracing/tracing.ts';
import type { IngestMetrics } from '../metrics.ts';
import { expireSpareDea, MAX_INSTANCES_OF_DROPLET, maxDropletsInPiece } from './bounds.ts';
import { type ClaimsAt, grantedClaims, releaseOwners } from './claims/claims.ts';
import { diffLists, type ListDiff, lineOf } from './list-diff.ts';
import { type BeforeRebuild, rebuildLost } from './verification/lost-records.ts';

/** A heartbeat as received, not yet parsed. */
export interface RawHeartbeat {
  bytes: Uint8Array;
  /** SHA-1 of the bytes: heartbeats with the same digest are equal. */
  digest: string;
  receivedMs: number;
  /** The earliest time at which it may have been delivered to this process (ms). */
  earliestMs: number;
  /** When its claims are retried (epoch ms); absent at first. */
  retriedMs?: number;
  /** Called once, by a sender that waits for it. */
  settle?: (outcome: HeartbeatOutcome) => void;
}

/** `stored`: also by a newer heartbeat of the DEA; `invalid`: it cannot be parsed; `not_stored`: the DEA must repeat it. */
export type HeartbeatOutcome = 'stored' | 'invalid' | 'not_stored';

/** A heartbeat that replaces others of its DEA: when it is settled, so are they. */
export function replacing<H extends Pick<RawHeartbeat, 'settle'>>(heartbeat: H, older: readonly H[]): H {
  const settles = older.flatMap(({ settle }) => settle ?? []);
  if (settles.length === 0) return heartbeat;
  const { settle: own } = heartbeat;
  return {
    ...heartbeat,
    settle: (outcome) => {
      for (const settle of settles) settle(outcome);
      own?.(outcome);
    },
  };
}

interface Options {
  redis: RedisConnections;
  metrics: IngestMetrics;
  ccPartition: string;
  dropletLostMs: number;
  /** Reports a rejected heartbeat or rejected entries of one. */
  rejected(reason: string, detail: Record<string, unknown>): void;
  /** Reports what the heartbeat has built again in Redis. */
  repaired(dea: string, repaired: RepairedByHeartbeat): void;
  /** Called before lost records are built again. @returns when it may be done, and for which of them (see `LostRecords`) */
  beforeRebuild: BeforeRebuild;
  /** Reports what records did not take. */
  refused(dea: string, claims: readonly Claim[], refusals: readonly Refusal[]): void;
}

/**
 * Parses a changed heartbeat of `dea`, stores it in a span of its own, and counts the result.
 *
 * @returns what became of it; when its claims may apply (epoch ms), unless the DEA sends another heartbeat before
 */
export async function parseAndStore(
  options: Options,
  dea: string,
  raw: RawHeartbeat,
): Promise<{ outcome: HeartbeatOutcome; retryAtMs?: number }> {
  const { ccPartition, rejected, redis, dropletLostMs, metrics } = options;
  const parsed = parseHeartbeat(raw.bytes, ccPartition);
  if (!('ok' in parsed)) {
    rejected(parsed.reject, { dea });
    return { outcome: 'invalid' };
  }
  const heartbeat = parsed.ok;
  for (const { reason, count } of heartbeat.rejected)
    rejected(reason, { dea: heartbeat.dea, entries: count });
  const { droplets, stale, isEqual, retryAtMs, refusals } = await traced(
    SPANS.heartbeat,
    { [ATTRIBUTES.dea]: heartbeat.dea },
    async () => {
      const stored = await storeChangedHeartbeat(redis, dropletLostMs, heartbeat, raw, options.beforeRebuild);
      if (stored.repaired !== NOTHING_REPAIRED) options.repaired(heartbeat.dea, stored.repaired);
      const { claims } = stored;
      if (claims.length > 0 || stored.refusals.length > 0)
        options.refused(heartbeat.dea, claims, stored.refusals);
      setSpanAttributes({ [ATTRIBUTES.droplets]: stored.droplets, [ATTRIBUTES.stale]: stored.stale });
      return stored;
    },
  );
  if (stale) metrics.heartbeatsCoalesced.inc();
  else if (isEqual) metrics.heartbeatsVerified.inc();
  else metrics.heartbeatsChanged.inc();
  metrics.dropletsChanged.inc(droplets);
  const isRefused = refusals.some(({ reason }) => reason === 'too_many_deas');
  return { outcome: isRefused ? 'not_stored' : 'stored', ...(retryAtMs !== undefined && { retryAtMs }) };
}

/**
 * Stores the difference between a heartbeat and the stored list of its DEA.
 *
 * 1. `begin_heartbeat` removes the DEA's digest and returns the stored list: a line for each instance, with its
 *    fingerprint and its droplet.
 * 2. Every droplet with a line in only one of the two lists is written, with all its instances on this DEA.
 * 3. `finish_heartbeat` stores the new list and the digest. Outside a cluster a single call of step 2 does this too.
 *
 * A process that dies in between leaves no digest, so the next heartbeat of this DEA, ten seconds later, is stored here
 * again. It also gets the lists of the unfinished ones and writes every droplet of all of them. The same happens when two
 * ingestors store two heartbeats of one DEA at once: the newer one writes everything, behind a fence that refuses late
 * writes of the older one. After a failover of a cluster node, which may have lost its latest writes, the next heartbeat
 * writes every droplet of the list, and those recently removed from it.
 *
 * An instance that belongs to another DEA, or whose index or version would change, is not written (see claims.ts). The heartbeat then
 * leaves an empty digest, so that the next one is stored whole and tries again.
 *
 * What Redis has lost of earlier heartbeats is found in the same way: at the turn of the DEA (`verifyEveryMs`), and whenever its
 * digest is missing every droplet is written again, which changes only what is not as it should be.
 */
export async function storeChangedHeartbeat(
  redis: RedisConnections,
  dropletLostMs: number,
  heartbeat: Heartbeat,
  raw: Omit<RawHeartbeat, 'bytes'>,
  beforeRebuild: BeforeRebuild = async () => undefined,
): Promise<StoredHeartbeat> {
  const { dea } = heartbeat;
  const lines = heartbeat.entries.map(lineOf);
  const list = lines.map((line) => `${line}\n`).join('');
  const { receivedMs, earliestMs } = raw;
  const begin = () => beginHeartbeat(redis, { dea, list, receivedMs, earliestMs, dropletLostMs });
  let begun = await begin();
  if (begun === 'full' && (await expireSpareDea(redis))) begun = await begin();
  if (begun === 'full')
    return { ...NOTHING_STORED, refusals: [{ reason: 'too_many_deas', droplet: '', count: 1 }] };
  if (begun === 'stale') return { ...NOTHING_STORED, stale: true };

  const { atMs, previousHeartbeatMs, dataEpoch } = begun;
  // If Redis refuses what follows, this heartbeat begins again. With its old time it would be older than its own beginning.
  raw.receivedMs = atMs;
  const isBack = previousHeartbeatMs === undefined || atMs - previousHeartbeatMs > dropletLostMs;
  const markDue = isBack || begun.hasUnfinished || begun.isSuspect;
  const writeAll = markDue || begun.isVerified;
  const incomplete = writeAll ? linesOf(begun.incompleteList) : undefined;
  const diff = diffLists(lines, linesOf(begun.storedList), incomplete);
  const { touched } = diff;
  const { droplets, surplus } = listedDroplets(touched, heartbeat);
  const write: HeartbeatWrite = {
    dea,
    atMs,
    previousHeartbeatMs,
    fence: begun.hasUnfinished,
    // The analyzers must reconcile every droplet of a DEA that is back; an unfinished heartbeat may have been its first.
    markDue,
    verify: begun.isVerified,
    ...(begun.isVerified && !markDue && { mustExist: diff.asBefore }),
    traceparent: traceparent(),
    maxDropletsInPiece: await maxDropletsInPiece(redis),
  };
  const running = heartbeat.entries.filter(({ state }) => EXISTING_STATES.has(state)).length;
  // Of the droplets that are not written, it holds the slots that it held before.
  const unwanted = linesOf(begun.unwantedList).filter((droplet) => !touched.has(droplet));
  const written = instancesOf(droplets);
  const others = heartbeat.entries.length - written - instancesIn(heartbeat, unwanted);
  const end = { digest: raw.digest, running, wanted: others, unwanted };
  const isOneCall =
    touched.size > 0 &&
    touched.size <= DROPLETS_PER_CALL &&
    surplus.length === 0 &&
    written <= INSTANCES_PER_CALL;
  let stored: StoredDroplets;
  if (isOneCall && !redis.isCluster && dataEpoch === undefined) {
    const whole = await storeWholeHeartbeat(redis, write, droplets, end);
    if (whole === 'superseded') return NOTHING_STORED;
    if (whole.claims.length + whole.refusals.length + whole.lost.length === 0)
      return storedHeartbeat(whole, begun, diff);
    stored = whole;
  } else {
    stored = await storeHeartbeatDroplets(redis, write, droplets);
  }
  if (surplus.length > 0) stored = { ...stored, refusals: [...stored.refusals, ...surplus] };
  const rebuilt = await rebuildLost(redis, { write, droplets, stored }, beforeRebuild);
  stored = rebuilt.stored;
  const { releasedList } = begun;
  const claimsAt = { dropletLostMs, nowMs: raw.retriedMs ?? atMs, releasedList };
  const claimed = await applyClaims(redis, claimsAt, { write, droplets, stored });
  stored = claimed.stored;
  const isRefused =
    stored.lost.length > 0 ||
    stored.claims.length > 0 ||
    stored.refusals.some(({ reason }) => reason !== 'too_many_ended');
  const delisted =
    dataEpoch === undefined ? [] : [...touched].filter((droplet) => droplets.get(droplet)?.length === 0);
  await finishHeartbeat(redis, {
    ...{ dea, atMs, running, dataEpoch, delisted },
    digest: isRefused ? '' : raw.digest,
    wanted: others + written - instancesIn(heartbeat, stored.unwanted),
    unwanted: [...unwanted, ...stored.unwanted],
    misfits: [
      ...stored.refusals.flatMap(({ reason, droplet }) => (reason === 'identity' ? [droplet] : [])),
      ...stored.claims.flatMap(({ changesIdentity, droplet }) => (changesIdentity ? [droplet] : [])),
    ],
  });
  const { retryAtMs } = claimed;
  const rebuiltIds = rebuilt.ids;
  return {
    ...storedHeartbeat(stored, begun, diff, rebuiltIds),
    ...(retryAtMs !== undefined && { retryAtMs }),
  };
}

function instancesOf(droplets: ListedDroplets): number {
  let instances = 0;
  for (const { length } of droplets.values()) instances += length;
  return instances;
}

/** How many instances of these droplets the heartbeat lists. */
function instancesIn({ entries }: Heartbeat, droplets: readonly string[]): number {
  if (droplets.length === 0) return 0;
  const among = new Set(droplets);
  return entries.filter(({ droplet }) => among.has(droplet)).length;
}

/** Writes the instances whose claims apply. @returns what was stored in all, with the claims that were rejected; when to retry those */
async function applyClaims(
  redis: RedisConnections,
  at: ClaimsAt,
  { write, droplets, stored }: { write: HeartbeatWrite; droplets: ListedDroplets; stored: StoredDroplets },
): Promise<{ stored: StoredDroplets; retryAtMs?: number }> {
  const { granted, ...retry } = await grantedClaims(redis, at, stored.claims);
  if (granted.length === 0) return { stored, ...retry };
  const claimed = new Map(granted.map(({ droplet }) => [droplet, droplets.get(droplet) ?? []]));
  const applied = await storeHeartbeatDroplets(redis, { ...write, granted }, claimed);
  await releaseOwners(redis, at, granted);
  const isOther = (droplet: string) => !claimed.has(droplet);
  const others: StoredDroplets = {
    ...stored,
    unwanted: stored.unwanted.filter(isOther),
    claims: stored.claims.filter(({ droplet }) => isOther(droplet)),
    refusals: stored.refusals.filter(({ droplet }) => isOther(droplet)),
  };
  return { stored: mergeStored([others, applied]), ...retry };
}

/** What became of a heartbeat. */
export interface StoredHeartbeat {
  /** How many droplets were changed. */
  droplets: number;
  /** A newer heartbeat was stored before, so this one was not. */
  stale: boolean;
  /** It lists the same as the one before, and was stored whole only to find what Redis has lost. */
  isEqual: boolean;
  repaired: RepairedByHeartbeat;
  /** Of instances that belong to other DEAs: they were rejected. */
  claims: readonly Claim[];
  refusals: readonly Refusal[];
  /** When one of the claims may apply (epoch ms). */
  retryAtMs?: number;
}

/** What was missing in Redis although an earlier heartbeat had stored it. */
export interface RepairedByHeartbeat {
  records: string[];
  /** One of the records existed and lacked something, so that other DEAs' instances may be missing, too. */
  isIncomplete: boolean;
  indexEntries: number;
  isDigestMissing: boolean;
  isListLost: boolean;
}

const NOTHING_REPAIRED: RepairedByHeartbeat = {
  records: [],
  isIncomplete: false,
  indexEntries: 0,
  isDigestMissing: false,
  isListLost: false,
};

const NOTHING_STORED: StoredHeartbeat = {
  ...{ droplets: 0, stale: false, isEqual: false, repaired: NOTHING_REPAIRED },
  ...{ claims: [], refusals: [] },
};

function storedHeartbeat(
  stored: StoredDroplets,
  begun: BegunHeartbeat,
  diff: ListDiff,
  rebuilt: readonly string[] = [],
): StoredHeartbeat {
  const { changed, claims, refusals } = stored;
  const isEqual = begun.isVerified && diff.isEqual;
  const repaired = repairedBy(stored, begun, diff, rebuilt);
  return { droplets: changed, stale: false, isEqual, repaired, claims, refusals };
}

function repairedBy(
  { wholeAgain, reindexed }: StoredDroplets,
  { isDigestMissing, isListLost }: BegunHeartbeat,
  { asBefore }: ListDiff,
  rebuilt: readonly string[],
): RepairedByHeartbeat {
  if (rebuilt.length === 0 && wholeAgain.length === 0 && reindexed === 0 && !isListLost && !isDigestMissing)
    return NOTHING_REPAIRED;
  // A droplet that is listed as before was stored before.
  const incomplete = wholeAgain.filter((id) => asBefore.has(id) && !rebuilt.includes(id));
  const records = [...rebuilt, ...incomplete];
  return {
    records,
    isIncomplete: incomplete.length > 0,
    indexEntries: reindexed,
    isDigestMissing,
    isListLost,
  };
}

/** States of an instance that exists; in all other states it has ended. */
const EXISTING_STATES: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);

/** By droplet, the entries of the heartbeat, and which droplets have too many. */
function listedDroplets(
  touched: Set<string>,
  { entries }: Heartbeat,
): { droplets: Map<string, HeartbeatEntry[]>; surplus: Refusal[] } {
  const droplets = new Map<string, HeartbeatEntry[]>();
  for (const droplet of touched) droplets.set(droplet, []);
  for (const entry of entries) droplets.get(entry.droplet)?.push(entry);
  const surplus: Refusal[] = [];
  if (entries.length > MAX_INSTANCES_OF_DROPLET) {
    for (const [droplet, listed] of droplets) {
      const { length } = listed.splice(MAX_INSTANCES_OF_DROPLET);
      if (length > 0) surplus.push({ reason: 'too_many_instances', droplet, count: length });
    }
  }
  return { droplets, surplus };
}
