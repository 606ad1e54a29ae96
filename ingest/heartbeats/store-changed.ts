import { hash } from 'node:crypto';
import type { Heartbeat, HeartbeatEntry } from '../../common/messages/incoming.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { dropletOfLine, FINGERPRINT_LENGTH, linesOf } from '../../common/redis/dea-list.ts';
import { encodeHeartbeatEntry } from '../../common/redis/record-codec.ts';
import { traceparent } from '../../common/tracing/tracing.ts';

/** A heartbeat as it came, waiting to be stored. */
export interface RawHeartbeat {
  bytes: Uint8Array;
  /** SHA-1 of the bytes: equal digests are equal heartbeats. */
  digest: string;
  receivedMs: number;
}

/**
 * Stores a heartbeat that differs from the last one of its DEA, by its difference.
 *
 * 1. `begin_heartbeat` takes the DEA's digest away and gives the stored list: a line for each instance, its
 *    fingerprint and its droplet.
 * 2. Every droplet with a line that only one of the two lists has is written, with all its instances of this DEA.
 * 3. `finish_heartbeat` stores the new list and the digest; outside a cluster that is the end of the call of step 2, where it is one.
 *
 * Whoever dies in between leaves no digest, so the next heartbeat of this DEA, ten seconds later, comes here
 * again; it finds the unfinished one's list too and writes every droplet of all of them. That is also what
 * happens when two ingestors store two heartbeats of one DEA at once: the newer one writes all, behind a
 * fence that the older one's late writes do not pass. And where a node of a cluster may have lost its last writes, the
 * next heartbeat writes every droplet of the list, and those that were taken from it lately.
 *
 * @returns how many droplets were changed, and whether a newer heartbeat was there already
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
  const [at, stored, unfinished, heardBefore, others, doubted, dataEpoch] = (await scripts.beginHeartbeat(
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

  const back = heardBefore === '' || Number(at) - Number(heardBefore) > dropletLostMs;
  const whole = back || others === '1' || doubted === '1';
  const touched = differing(lines, linesOf(stored), whole ? linesOf(unfinished) : undefined);
  const calls = callsFor(redis, touched, heartbeat, {
    at,
    heardBefore,
    fence: others,
    // An unfinished one may have been the first after a silence.
    due: whole ? '1' : '',
    traceparent: traceparent() ?? '',
  });
  const ofFinish = [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover];
  const running = heartbeat.entries.filter(({ state }) => RUNS.has(state)).length;
  const [only] = calls;
  if (only !== undefined && calls.length === 1 && !isCluster && dataEpoch === '') {
    return {
      droplets: await heard(redis, only, { keys: ofFinish, digest: raw.digest, running }),
      stale: false,
    };
  }
  const changed = await Promise.all(calls.map((call) => heard(redis, call)));
  await scripts.finishHeartbeat(ofFinish, [
    at,
    dea,
    raw.digest,
    running,
    dataEpoch,
    dataEpoch === '' ? '' : notListed(touched, heartbeat).join(''),
  ]);
  return { droplets: changed.reduce((sum, count) => sum + count, 0), stale: false };
}

/** States of an instance that is there: the others are reports of one that was. */
const RUNS: ReadonlySet<string> = new Set(['STARTING', 'RUNNING', 'EVACUATING']);

/** The line of an instance in its DEA's list: a fingerprint of all that the heartbeat says of it, and its droplet. */
function lineOf(entry: HeartbeatEntry): string {
  const { instance, index, version, state, stateTimestampS } = entry;
  const text = `${instance}\n${index}\n${version}\n${state}\n${stateTimestampS}`;
  return hash('sha1', text, 'base64').slice(0, FINGERPRINT_LENGTH) + entry.droplet;
}

/** A line for each of the droplets of which the heartbeat lists nothing. */
function notListed(touched: Set<string>, { entries }: Heartbeat): string[] {
  const listed = new Set(entries.map(({ droplet }) => droplet));
  return [...touched].filter((droplet) => !listed.has(droplet)).map((droplet) => `${droplet}\n`);
}

/** Droplets of the lines that are in one list only; with `unfinished`: droplets of all lines. */
function differing(lines: string[], stored: string[], unfinished: string[] | undefined): Set<string> {
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
  heardBefore: string;
  fence: '1' | '';
  due: '1' | '';
  traceparent: string;
}

/** Droplets that one call writes: Redis does nothing else meanwhile, so for a millisecond or two. */
const DROPLETS_A_CALL = 100;

/** A call of `store_heartbeat_droplets`: what is said to it of all its droplets, and of each. */
interface Call {
  keys: string[];
  heartbeat: (string | number)[];
  args: (string | number)[];
  droplets: number;
}

/** As few script calls as may be: a call costs as much as a few droplets in it. */
function callsFor(
  { keys, isCluster }: RedisConnections,
  touched: Set<string>,
  { dea, entries }: Heartbeat,
  { at, heardBefore, fence, due, traceparent }: Write,
): Call[] {
  const listedOf = new Map<string, HeartbeatEntry[]>();
  for (const droplet of touched) listedOf.set(droplet, []);
  for (const entry of entries) listedOf.get(entry.droplet)?.push(entry);

  const heartbeat = [at, fence, ` on ${encodeURIComponent(dea)} `, dea, heardBefore, due, traceparent];
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

/** @param end ends the heartbeat in the same step: keys of `finish_heartbeat`, digest, count of running instances */
function heard(
  { scripts }: RedisConnections,
  call: Call,
  end?: { keys: string[]; digest: string; running: number },
): Promise<number> {
  return scripts.storeHeartbeatDroplets(
    [...(end?.keys ?? []), ...call.keys],
    [...call.heartbeat, end?.digest ?? '', end?.running ?? '', ...call.args],
  );
}
