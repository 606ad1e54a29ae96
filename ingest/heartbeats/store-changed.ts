import { hash } from 'node:crypto';
import { type Heartbeat, type HeartbeatEntry, parseHeartbeat } from '../../common/messages/incoming.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { dropletOfLine, FINGERPRINT_LENGTH, linesOf } from '../../common/redis/dea-list.ts';
import { beginHeartbeat } from '../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { finishHeartbeat } from '../../common/redis/scripts/heartbeats/finish-heartbeat.ts';
import {
  DROPLETS_PER_CALL,
  type HeartbeatWrite,
  storeHeartbeatDroplets,
} from '../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { storeWholeHeartbeat } from '../../common/redis/scripts/heartbeats/store-whole-heartbeat.ts';
import { ATTRIBUTES, SPANS, setSpanAttributes, traced, traceparent } from '../../common/tracing/tracing.ts';
import type { IngestMetrics } from '../metrics.ts';

/** A heartbeat as received, not yet parsed. */
export interface RawHeartbeat {
  bytes: Uint8Array;
  /** SHA-1 of the bytes: heartbeats with the same digest are equal. */
  digest: string;
  receivedMs: number;
}

interface Options {
  redis: RedisConnections;
  metrics: IngestMetrics;
  ccPartition: string;
  dropletLostMs: number;
  /** Reports a rejected heartbeat or rejected entries of one. */
  rejected(reason: string, detail: Record<string, unknown>): void;
}

/** Parses a changed heartbeat of `dea`, stores it in a span of its own, and counts the result. */
export async function parseAndStore(options: Options, dea: string, raw: RawHeartbeat): Promise<void> {
  const { ccPartition, rejected, redis, dropletLostMs, metrics } = options;
  const parsed = parseHeartbeat(raw.bytes, ccPartition);
  if (!('ok' in parsed)) return rejected(parsed.reject, { dea });
  const heartbeat = parsed.ok;
  for (const { reason, count } of heartbeat.rejected)
    rejected(reason, { dea: heartbeat.dea, entries: count });
  const { droplets, stale } = await traced(SPANS.heartbeat, { [ATTRIBUTES.dea]: heartbeat.dea }, async () => {
    const stored = await storeChangedHeartbeat(redis, dropletLostMs, heartbeat, raw);
    setSpanAttributes({ [ATTRIBUTES.droplets]: stored.droplets, [ATTRIBUTES.stale]: stored.stale });
    return stored;
  });
  if (stale) metrics.heartbeatsCoalesced.inc();
  else metrics.heartbeatsChanged.inc();
  metrics.dropletsChanged.inc(droplets);
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
 * @returns how many droplets were changed; `stale` if a newer heartbeat was stored before
 */
export async function storeChangedHeartbeat(
  redis: RedisConnections,
  dropletLostMs: number,
  heartbeat: Heartbeat,
  raw: Pick<RawHeartbeat, 'digest' | 'receivedMs'>,
): Promise<{ droplets: number; stale: boolean }> {
  const { dea } = heartbeat;
  const lines = heartbeat.entries.map(lineOf);
  const list = lines.map((line) => `${line}\n`).join('');
  const begun = await beginHeartbeat(redis, { dea, receivedMs: raw.receivedMs, list });
  if (begun === 'stale') return { droplets: 0, stale: true };

  const { atMs, previousHeartbeatMs, dataEpoch } = begun;
  const isBack = previousHeartbeatMs === undefined || atMs - previousHeartbeatMs > dropletLostMs;
  const writeAll = isBack || begun.hasUnfinished || begun.isSuspect;
  const incomplete = writeAll ? linesOf(begun.incompleteList) : undefined;
  const touched = differingDroplets(lines, linesOf(begun.storedList), incomplete);
  const droplets = listedDroplets(touched, heartbeat);
  const write: HeartbeatWrite = {
    dea,
    atMs,
    previousHeartbeatMs,
    fence: begun.hasUnfinished,
    // The analyzers must reconcile every droplet of a DEA that is back; an unfinished heartbeat may have been its first.
    markDue: writeAll,
    traceparent: traceparent(),
  };
  const running = heartbeat.entries.filter(({ state }) => EXISTING_STATES.has(state)).length;
  const end = { digest: raw.digest, running };
  const isOneCall = touched.size > 0 && touched.size <= DROPLETS_PER_CALL;
  if (isOneCall && !redis.isCluster && dataEpoch === undefined) {
    const changed = await storeWholeHeartbeat(redis, write, droplets, end);
    return { droplets: changed === 'superseded' ? 0 : changed, stale: false };
  }
  const changed = await storeHeartbeatDroplets(redis, write, droplets);
  const delisted = dataEpoch === undefined ? [] : notListed(touched, heartbeat);
  await finishHeartbeat(redis, { dea, atMs, ...end, dataEpoch, delisted });
  return { droplets: changed, stale: false };
}

/** States of an instance that exists; in all other states it has ended. */
const EXISTING_STATES: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);

/** The line of an instance in its DEA's list: a fingerprint of the whole entry, followed by its droplet. */
function lineOf(entry: HeartbeatEntry): string {
  const { instance, index, version, state, stateTimestampS } = entry;
  const text = `${instance}\n${index}\n${version}\n${state}\n${stateTimestampS}`;
  return hash('sha1', text, 'base64').slice(0, FINGERPRINT_LENGTH) + entry.droplet;
}

/** Those of these droplets that the heartbeat does not list. */
function notListed(touched: Set<string>, { entries }: Heartbeat): string[] {
  const listed = new Set(entries.map(({ droplet }) => droplet));
  return [...touched].filter((droplet) => !listed.has(droplet));
}

/** Droplets with a line in only one of the two lists; with `incomplete`, the droplets of all lines. */
function differingDroplets(lines: string[], stored: string[], incomplete: string[] | undefined): Set<string> {
  const droplets = new Set<string>();
  const add = (line: string) => droplets.add(dropletOfLine(line));
  if (incomplete !== undefined) {
    for (const list of [lines, stored, incomplete]) list.forEach(add);
    return droplets;
  }
  const before = new Set(stored);
  for (const line of lines) if (!before.delete(line)) add(line);
  before.forEach(add);
  return droplets;
}

/** By droplet, the entries of the heartbeat. */
function listedDroplets(touched: Set<string>, { entries }: Heartbeat): Map<string, HeartbeatEntry[]> {
  const droplets = new Map<string, HeartbeatEntry[]>();
  for (const droplet of touched) droplets.set(droplet, []);
  for (const entry of entries) droplets.get(entry.droplet)?.push(entry);
  return droplets;
}
