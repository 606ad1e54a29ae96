import { hash } from 'node:crypto';
import { type Heartbeat, type HeartbeatEntry, parseHeartbeat } from '../../common/messages/incoming.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { dropletOfLine, FINGERPRINT_LENGTH, linesOf } from '../../common/redis/dea-list.ts';
import { encodeHeartbeatEntry } from '../../common/redis/record-codec.ts';
import { ATTRIBUTES, noteOnSpan, SPANS, traced, traceparent } from '../../common/tracing/tracing.ts';
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
    noteOnSpan({ [ATTRIBUTES.droplets]: stored.droplets, [ATTRIBUTES.stale]: stored.stale });
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
  const { isCluster, keys, scripts } = redis;
  const { dea } = heartbeat;
  const lines = heartbeat.entries.map(lineOf);
  const [at, stored, unfinished, previousMs, hasUnfinished, isSuspect, dataEpoch] =
    (await scripts.beginHeartbeat(
      [
        keys.deasLastHeartbeat,
        keys.deasPreviousHeartbeat,
        keys.deasDigest,
        keys.deaList(dea),
        keys.deasShutdown,
        keys.failover,
      ],
      [raw.receivedMs, dea, lines.map((line) => `${line}\n`).join('')],
    )) as [string, string, string, string, '1' | '', '1' | '', string];
  if (at === 'stale') return { droplets: 0, stale: true };

  const isBack = previousMs === '' || Number(at) - Number(previousMs) > dropletLostMs;
  const writeAll = isBack || hasUnfinished === '1' || isSuspect === '1';
  const touched = differingDroplets(lines, linesOf(stored), writeAll ? linesOf(unfinished) : undefined);
  const calls = callsFor(redis, touched, heartbeat, {
    at,
    previousMs,
    fence: hasUnfinished,
    // The analyzers must reconcile every droplet of a DEA that is back; an unfinished heartbeat may have been its first.
    due: writeAll ? '1' : '',
    traceparent: traceparent() ?? '',
  });
  const finishKeys = [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover];
  const running = heartbeat.entries.filter(({ state }) => EXISTING_STATES.has(state)).length;
  const [only] = calls;
  if (only !== undefined && calls.length === 1 && !isCluster && dataEpoch === '') {
    return {
      droplets: await storeDroplets(redis, only, { keys: finishKeys, digest: raw.digest, running }),
      stale: false,
    };
  }
  const changed = await Promise.all(calls.map((call) => storeDroplets(redis, call)));
  await scripts.finishHeartbeat(finishKeys, [
    at,
    dea,
    raw.digest,
    running,
    dataEpoch,
    dataEpoch === '' ? '' : notListed(touched, heartbeat).join(''),
  ]);
  return { droplets: changed.reduce((sum, count) => sum + count, 0), stale: false };
}

/** States of an instance that exists; in all other states it has ended. */
const EXISTING_STATES: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);

/** The line of an instance in its DEA's list: a fingerprint of the whole entry, followed by its droplet. */
function lineOf(entry: HeartbeatEntry): string {
  const { instance, index, version, state, stateTimestampS } = entry;
  const text = `${instance}\n${index}\n${version}\n${state}\n${stateTimestampS}`;
  return hash('sha1', text, 'base64').slice(0, FINGERPRINT_LENGTH) + entry.droplet;
}

/** A line for each of these droplets that the heartbeat does not list. */
function notListed(touched: Set<string>, { entries }: Heartbeat): string[] {
  const listed = new Set(entries.map(({ droplet }) => droplet));
  return [...touched].filter((droplet) => !listed.has(droplet)).map((droplet) => `${droplet}\n`);
}

/** Droplets with a line in only one of the two lists; with `unfinished`, the droplets of all lines. */
function differingDroplets(lines: string[], stored: string[], unfinished: string[] | undefined): Set<string> {
  const droplets = new Set<string>();
  const add = (line: string) => droplets.add(dropletOfLine(line));
  if (unfinished !== undefined) {
    for (const list of [lines, stored, unfinished]) list.forEach(add);
    return droplets;
  }
  const before = new Set(stored);
  for (const line of lines) if (!before.delete(line)) add(line);
  before.forEach(add);
  return droplets;
}

interface Write {
  at: string;
  previousMs: string;
  fence: '1' | '';
  due: '1' | '';
  traceparent: string;
}

/** Droplets in one call. Redis serves nobody else during it: one or two milliseconds for this many. */
const DROPLETS_A_CALL = 100;

/** A call of `store_heartbeat_droplets`: `heartbeat` are the arguments for all its droplets, `args` those for each. */
interface Call {
  keys: string[];
  heartbeat: (string | number)[];
  args: (string | number)[];
  droplets: number;
}

/** The fewest calls possible, because a call costs as much as writing a few droplets. */
function callsFor(
  { keys, isCluster }: RedisConnections,
  touched: Set<string>,
  { dea, entries }: Heartbeat,
  { at, previousMs, fence, due, traceparent }: Write,
): Call[] {
  const listedOf = new Map<string, HeartbeatEntry[]>();
  for (const droplet of touched) listedOf.set(droplet, []);
  for (const entry of entries) listedOf.get(entry.droplet)?.push(entry);

  const heartbeat = [at, fence, ` on ${encodeURIComponent(dea)} `, dea, previousMs, due, traceparent];
  const calls: Call[] = [];
  const open = new Map<number, Call>();
  for (const [droplet, listed] of listedOf) {
    const slice = keys.sliceOf(droplet);
    const group = isCluster ? slice : 0;
    let call = open.get(group);
    if (call === undefined || call.droplets === DROPLETS_A_CALL) {
      call = { keys: [], heartbeat, args: [], droplets: 0 };
      open.set(group, call);
      calls.push(call);
    }
    call.keys.push(keys.droplet(droplet), keys.indexOf(droplet), keys.due(slice));
    call.args.push(droplet, listed.length);
    for (const entry of listed) call.args.push(entry.instance, encodeHeartbeatEntry({ ...entry, dea }));
    call.droplets++;
  }
  return calls;
}

/** @param end finishes the heartbeat in the same call: keys of `finish_heartbeat`, digest, number of running instances */
function storeDroplets(
  { scripts }: RedisConnections,
  call: Call,
  end?: { keys: string[]; digest: string; running: number },
): Promise<number> {
  return scripts.storeHeartbeatDroplets(
    [...(end?.keys ?? []), ...call.keys],
    [...call.heartbeat, end?.digest ?? '', end?.running ?? '', ...call.args],
  );
}
