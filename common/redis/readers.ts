import type { DeaLiveness, Droplet } from '../model/droplet.ts';
import type { Clock } from './clock.ts';
import type { RedisConnections } from './connections.ts';
import { PIECES } from './keys.ts';
import { decodeDroplet } from './record-codec.ts';

/** Droplets read by one call of the script: Redis does nothing else meanwhile, so about a millisecond. */
const CHUNK = 200;

/**
 * Droplets as they are in Redis now, in the order of `ids`; an Error in the place of a record that cannot be
 * read (see RecordError), undefined in the place of one that does not exist.
 */
export async function readDroplets(
  { isCluster, keys, scripts }: RedisConnections,
  ids: readonly string[],
): Promise<(Droplet | Error | undefined)[]> {
  const droplets = new Array<Droplet | Error | undefined>(ids.length);
  const chunks = forOneCall({ isCluster, keys }, ids, CHUNK);
  await Promise.all(
    chunks.map(async (chunk) => {
      const texts = await scripts.readDroplets(
        chunk.map((at) => keys.droplet(ids[at] as string)),
        [],
      );
      chunk.forEach((at, n) => {
        droplets[at] = dropletFromText(ids[at] as string, texts[n] as string);
      });
    }),
  );
  return droplets;
}

/** Droplets and what their instances' liveness depends on, as it was at one moment. */
export interface DropletReads {
  /** In the order asked for, as `readDroplets` gives them. */
  droplets: (Droplet | Error | undefined)[];
  /** Of all DEAs that the droplets' instances name, those that are known. */
  deas: Map<string, DeaLiveness>;
  /** By which instances are to be judged (ms): a heartbeat may be newer, never older, so none is found too old that was not. */
  nowMs: number;
}

/** To read more droplets than this in one round trip would cost Redis nearly twice as much as in two. */
const IN_ONE_TRIP = 20;

/** Reads droplets to judge them at once: a few in one round trip where Redis is no cluster, else in two. */
export async function readWithDeas(
  redis: RedisConnections,
  clock: Pick<Clock, 'nowMs'>,
  ids: readonly string[],
): Promise<DropletReads> {
  if (redis.isCluster || ids.length > IN_ONE_TRIP) {
    const droplets = await readDroplets(redis, ids);
    const nowMs = clock.nowMs();
    return { droplets, nowMs, deas: await readDeas(redis, droplets.filter(isRead)) };
  }
  const { keys, scripts } = redis;
  const nowMs = clock.nowMs();
  const [records, heard] = await scripts.readDropletsWithDeas(
    [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, ...ids.map(keys.droplet)],
    [],
  );
  const droplets = records.map((text, at) => dropletFromText(ids[at] as string, text));
  const deas: DropletReads['deas'] = new Map();
  for (let at = 0; at + 2 < heard.length; at += 3) {
    const previous = heard[at + 2];
    deas.set(heard[at] as string, {
      lastHeartbeatMs: Number(heard[at + 1]),
      ...(previous && { previousHeartbeatMs: Number(previous) }),
    });
  }
  return { droplets, deas, nowMs };
}

/** Whether there is a record, and it could be read. */
export function isRead(record: Droplet | Error | undefined): record is Droplet {
  return record !== undefined && !(record instanceof Error);
}

/** What the script says of a record; what somebody put there by hand is a matter of this one record. */
function dropletFromText(id: string, text: string): Droplet | Error | undefined {
  if (text === '') return undefined;
  if (text.startsWith('!')) return new Error(text.slice(1));
  try {
    return decodeDroplet(id, text.split('\n'));
  } catch (error) {
    return error as Error;
  }
}

/**
 * Positions of the ids, in groups for one call of a script each: at most so many, and in a cluster those of one slice, as a
 * call's keys must be on one node.
 */
export function forOneCall(
  { isCluster, keys }: Pick<RedisConnections, 'isCluster' | 'keys'>,
  ids: readonly string[],
  atMost: number,
): number[][] {
  const groups = new Map<number, number[]>();
  ids.forEach((id, at) => {
    const slice = isCluster ? keys.sliceOf(id) : 0;
    const group = groups.get(slice);
    if (group === undefined) groups.set(slice, [at]);
    else group.push(at);
  });
  return [...groups.values()].flatMap((group) => chunksOf(group, atMost));
}

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}

/** The ids of a slice's droplets; those that come or go meanwhile may be among them or not. */
export async function readIds({ client, keys }: RedisConnections, slice: number): Promise<string[]> {
  const pieces = Array.from({ length: PIECES }, (_, piece) => client.hkeys(keys.index(slice, piece)));
  return (await Promise.all(pieces)).flat();
}

/** How many droplets a slice has. A piece that somebody made something else of counts nothing; who reads it says so. */
export async function countIds({ client, keys }: RedisConnections, slice: number): Promise<number> {
  const pieces = Array.from({ length: PIECES }, (_, piece) => client.hlen(keys.index(slice, piece)));
  const counts = await Promise.allSettled(pieces);
  return counts.reduce((sum, count) => sum + (count.status === 'fulfilled' ? count.value : 0), 0);
}

/**
 * When the DEAs of these droplets were heard; a DEA that never was (or long ago) is not in the map. The heartbeat
 * before the latest matters only beside a second instance (policy: `duplicate`): of others it is not asked for.
 */
export async function readDeas(
  { client, keys }: RedisConnections,
  droplets: Iterable<Droplet>,
): Promise<Map<string, DeaLiveness>> {
  const names = new Set<string>();
  const ofSeveral = new Set<string>();
  for (const { instances } of droplets) {
    for (const { dea } of instances) {
      names.add(dea);
      if (instances.length > 1) ofSeveral.add(dea);
    }
  }
  if (names.size === 0) return new Map();
  // Those whose heartbeat before is asked for come first, so that both replies have them at the same places.
  const deas = [...ofSeveral, ...[...names].filter((dea) => !ofSeveral.has(dea))];
  const [heard, previous] = await Promise.all([
    client.zmscore(keys.deasLastHeartbeat, ...deas),
    ofSeveral.size === 0 ? [] : client.zmscore(keys.deasPreviousHeartbeat, ...ofSeveral),
  ]);
  const liveness = new Map<string, DeaLiveness>();
  deas.forEach((dea, at) => {
    const lastHeartbeatMs = heard[at];
    if (lastHeartbeatMs == null) return;
    const previousMs = previous[at];
    liveness.set(dea, {
      lastHeartbeatMs: Number(lastHeartbeatMs),
      ...(previousMs == null ? {} : { previousHeartbeatMs: Number(previousMs) }),
    });
  });
  return liveness;
}

/** What Redis says of the deployment as a whole; the policy's holds follow from it. Times in ms on Redis's clock. */
export interface FleetFacts {
  /** Ingestors have been listening without a gap, from then to then; absent if none ever was. */
  listening?: { sinceMs: number; untilMs: number };
  /** The ingestor that has been silent for longest without having signed off. */
  lowestWatermarkMs?: number;
  /** What DEAs said until then may be lost, once or more; absent if nothing is known to. */
  lossPossibleUntilMs?: number;
  /** Begin and end of the latest complete pass; absent before the first. */
  pass?: { begunMs: number; succeededMs: number };
  /** State of the holds that have one of their own, as JSON of the one who writes it. */
  massLoss?: string;
  /** Ticks have judged `mass_loss` without a gap, from then to then; absent if none ever did. */
  massLossEvaluated?: { sinceMs: number; untilMs: number };
  massDelete?: string;
  /** A part of the desired state may be lost, and no complete pass has written everything since. */
  desiredStateSuspect?: true;
}

/** One command; in a cluster after a look at whether a node has taken over from another. */
export async function readFleetFacts({ scripts, keys, failover }: RedisConnections): Promise<FleetFacts> {
  await failover?.check();
  const [since, until, silent, completed, succeeded, massLoss, massDelete, doubted, judged, missed] =
    await scripts.readFleetFacts(
      [keys.listening, keys.ingestors, keys.syncState, keys.holds, keys.failover],
      [],
    );
  const facts: FleetFacts = {};
  if (since && until) facts.listening = { sinceMs: Number(since), untilMs: Number(until) };
  if (silent) facts.lowestWatermarkMs = Number(silent);
  if (missed) facts.lossPossibleUntilMs = Number(missed);
  if (completed && succeeded) facts.pass = { begunMs: Number(completed), succeededMs: Number(succeeded) };
  if (massLoss) facts.massLoss = massLoss;
  if (judged) {
    const [sinceMs = Number.NaN, untilMs = Number.NaN] = judged.split(' ').map(Number);
    facts.massLossEvaluated = { sinceMs, untilMs };
  }
  if (massDelete) facts.massDelete = massDelete;
  if (doubted) facts.desiredStateSuspect = true;
  return facts;
}
