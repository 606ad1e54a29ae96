import type { Heartbeat } from '../../../common/messages/incoming/incoming.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { linesOf } from '../../../common/redis/fleet/dea-list.ts';
import {
  ALL_DROPLETS,
  type BegunHeartbeat,
  beginHeartbeat,
} from '../../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { finishHeartbeat } from '../../../common/redis/scripts/heartbeats/finish-heartbeat.ts';
import {
  DROPLETS_PER_CALL,
  type HeartbeatWrite,
  INSTANCES_PER_CALL,
  type ListedDroplets,
  type Refusal,
  type StoredDroplets,
  storeHeartbeatDroplets,
} from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { storeWholeHeartbeat } from '../../../common/redis/scripts/heartbeats/store-whole-heartbeat.ts';
import { traceparent } from '../../../common/tracing/tracing.ts';
import { applyClaims } from '../claims/apply-claims.ts';
import type { RawHeartbeat } from '../raw-heartbeat.ts';
import { type BeforeRebuild, rebuildLost } from '../verification/lost-records.ts';
import { expireSpareDea, maxDropletsInPiece } from './bounds.ts';
import { diffLists, type ListDiff, lineOf } from './list-diff.ts';
import {
  countInstances,
  countInstancesOf,
  countRunning,
  dropletsOf,
  listedDroplets,
} from './listed-droplets.ts';
import { NOTHING_STORED, type StoredHeartbeat, storedHeartbeat } from './stored-heartbeat.ts';

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
 *
 * @returns unfinished if it must wait (`mayWait`); then nothing was stored
 */
export async function storeChangedHeartbeat(
  redis: RedisConnections,
  dropletLostMs: number,
  heartbeat: Heartbeat,
  raw: Omit<RawHeartbeat, 'bytes'>,
  beforeRebuild: BeforeRebuild = async () => undefined,
): Promise<StoredHeartbeat | 'unfinished'> {
  const lines = heartbeat.entries.map(lineOf);
  const begun = await begin(redis, { dea: heartbeat.dea, lines, raw, dropletLostMs });
  if (begun === 'full')
    return { ...NOTHING_STORED, refusals: [{ reason: 'too_many_deas', droplet: '', count: 1 }] };
  if (begun === 'stale') return { ...NOTHING_STORED, stale: true };
  if (begun === 'unfinished') return begun;
  // If Redis refuses what follows, this heartbeat begins again. With its old time it would be older than its own beginning.
  raw.receivedMs = begun.atMs;
  raw.mayWait = false;

  const plan = planWrites(heartbeat, lines, begun, dropletLostMs);
  const { diff, droplets } = plan;
  const write = { ...plan.write, maxDropletsInPiece: await maxDropletsInPiece(redis) };
  let stored: StoredDroplets;
  if (plan.isOneCall && !redis.isCluster && begun.dataEpoch === undefined) {
    const whole = await storeWholeHeartbeat(redis, write, droplets, { digest: raw.digest, ...plan.end });
    if (whole === 'superseded') return NOTHING_STORED;
    if (whole.claims.length + whole.refusals.length + whole.lost.length === 0)
      return storedHeartbeat(whole, begun, diff);
    stored = whole;
  } else {
    stored = await storeHeartbeatDroplets(redis, write, droplets);
  }
  stored = { ...stored, refusals: [...stored.refusals, ...plan.surplus] };
  const rebuilt = await rebuildLost(redis, { write, droplets, stored }, beforeRebuild);
  const claimsAt = { dropletLostMs, nowMs: raw.retriedMs ?? begun.atMs, releasedList: begun.releasedList };
  const claimed = await applyClaims(redis, claimsAt, { write, droplets, stored: rebuilt.stored });
  await finish(redis, { heartbeat, digest: raw.digest, begun, plan, stored: claimed.stored });
  return {
    ...storedHeartbeat(claimed.stored, begun, diff, rebuilt.ids),
    ...(claimed.retryAtMs !== undefined && { retryAtMs: claimed.retryAtMs }),
  };
}

/** Begins the heartbeat; if too many DEAs are known, one that runs nothing gives way. */
async function begin(
  redis: RedisConnections,
  at: { dea: string; lines: readonly string[]; raw: Omit<RawHeartbeat, 'bytes'>; dropletLostMs: number },
): Promise<BegunHeartbeat | 'full' | 'stale' | 'unfinished'> {
  const { dea, lines, dropletLostMs } = at;
  const { receivedMs, earliestMs, retriedMs, mayWait = false } = at.raw;
  const list = lines.map((line) => `${line}\n`).join('');
  const isRepeated = retriedMs !== undefined;
  const heartbeat = { dea, list, receivedMs, earliestMs, isRepeated, mayWait, dropletLostMs };
  const tryToBegin = () => beginHeartbeat(redis, heartbeat);
  const begun = await tryToBegin();
  return begun === 'full' && (await expireSpareDea(redis)) ? tryToBegin() : begun;
}

/** What is to be written of a heartbeat. */
interface Plan {
  diff: ListDiff;
  write: Omit<HeartbeatWrite, 'maxDropletsInPiece'>;
  droplets: ListedDroplets;
  /** Droplets with too many instances. */
  surplus: readonly Refusal[];
  /** One script can store all of it and end the heartbeat. */
  isOneCall: boolean;
  /** What is stored of the DEA at the end, as far as it is known now. */
  end: { running: number; wanted: number; unwanted: readonly string[]; delisted: readonly string[] };
}

function planWrites(
  heartbeat: Heartbeat,
  lines: readonly string[],
  begun: BegunHeartbeat,
  dropletLostMs: number,
): Plan {
  const { atMs, previousHeartbeatMs } = begun;
  const isBack = previousHeartbeatMs === undefined || atMs - previousHeartbeatMs > dropletLostMs;
  const markDue = isBack || begun.hasUnfinished || begun.isSuspect;
  const writeAll = markDue || begun.isVerified;
  const incomplete = writeAll ? linesOf(begun.incompleteList) : undefined;
  const diff = diffLists(lines, linesOf(begun.storedList), incomplete);
  const { touched } = diff;
  const { droplets, surplus } = listedDroplets(touched, heartbeat);
  const write = {
    dea: heartbeat.dea,
    atMs,
    previousHeartbeatMs,
    fence: begun.hasUnfinished,
    // The analyzers must reconcile every droplet of a DEA that is back; an unfinished heartbeat may have been its first.
    markDue,
    verify: begun.isVerified,
    ...(begun.isVerified && !markDue && { mustExist: diff.asBefore }),
    traceparent: traceparent(),
  };
  const written = countInstances(droplets);
  const delisted = [...touched].filter((droplet) => droplets.get(droplet)?.length === 0);
  const isOneCall =
    touched.size > 0 &&
    touched.size <= DROPLETS_PER_CALL &&
    surplus.length === 0 &&
    written <= INSTANCES_PER_CALL;
  // Of the droplets that are not written, it holds the slots that it held before.
  const before = begun.unwantedList === ALL_DROPLETS ? dropletsOf(heartbeat) : linesOf(begun.unwantedList);
  const unwanted = before.filter((droplet) => !touched.has(droplet));
  const wanted = heartbeat.entries.length - written - countInstancesOf(heartbeat, unwanted);
  return {
    diff,
    write,
    droplets,
    surplus,
    isOneCall,
    end: { running: countRunning(heartbeat), wanted, unwanted, delisted },
  };
}

/** Stores the new list, and the digest unless something was rejected. */
async function finish(
  redis: RedisConnections,
  of: { heartbeat: Heartbeat; digest: string; begun: BegunHeartbeat; plan: Plan; stored: StoredDroplets },
): Promise<void> {
  const { heartbeat, digest, stored } = of;
  const { atMs, dataEpoch } = of.begun;
  const { droplets, end } = of.plan;
  const { claims, refusals } = stored;
  const isRefused =
    stored.lost.length > 0 || claims.length > 0 || refusals.some(({ reason }) => reason !== 'too_many_ended');
  const written = countInstances(droplets) - countInstancesOf(heartbeat, stored.unwanted);
  await finishHeartbeat(redis, {
    ...{ dea: heartbeat.dea, atMs, running: end.running, dataEpoch, delisted: end.delisted },
    digest: isRefused ? '' : digest,
    wanted: end.wanted + written,
    unwanted: [...end.unwanted, ...stored.unwanted],
    misfits: [
      ...refusals.flatMap(({ reason, droplet }) => (reason === 'identity' ? [droplet] : [])),
      ...claims.flatMap(({ changesIdentity, droplet }) => (changesIdentity ? [droplet] : [])),
    ],
  });
}
