import { crc32 } from 'node:zlib';

/**
 * Every Redis key of the health manager is spelled here and nowhere else. `schema.ts` describes each of them.
 *
 * Droplets are distributed over `slices` by a hash of their id. The slice is the hash tag of its keys, so all keys of a slice
 * are in one Redis Cluster slot, and one script may use several of them. The keys of the fleet as a whole share a hash tag,
 * too, so a script can read watermarks and heartbeats together.
 */
export interface Keys {
  readonly prefix: string;
  readonly slices: number;
  /** The slice of a droplet. */
  sliceOf(droplet: string): number;
  droplet(id: string): string;
  due(slice: number): string;
  index(slice: number, piece: number): string;
  indexOf(droplet: string): string;
  decisions(slice: number): string;
  summary(slice: number): string;
  troubled(slice: number): string;
  /** Written to find out whether the server of the slice takes writes. */
  writeCheck(slice: number): string;
  deasLastHeartbeat: string;
  deasPreviousHeartbeat: string;
  deasDigest: string;
  deasCount: string;
  deasWanted: string;
  deasShutdown: string;
  deasLost: string;
  deaList(dea: string): string;
  events(slice: number): string;
  eventStreams: readonly string[];
  listening: string;
  watermarks: string;
  ingestors: string;
  syncState: string;
  /** The pass of the sync that may write in the slice. */
  passOf(slice: number): string;
  syncPass: string;
  syncPage(number: number): string;
  syncMissing: string;
  holds: string;
  operatorHolds: string;
  alarms: string;
  scan: string;
  timeline: string;
  processes: string;
  counters: string;
  layout: string;
  clock: string;
  failover: string;
  queuePrefix: string;
}

/** Pieces of a slice's index: Redis keeps a hash of up to 512 ids compactly. */
export const PIECES = 16;

/** Streams of exits and updates. All events of a slice are in one of them, so those of a droplet stay in order. */
export const EVENT_STREAMS = 4;

/** Version of this layout, stored in Redis. A Redis of another version is refused at start. */
export const LAYOUT_VERSION = 3;

/** @param prefix first part of every key (`redis.prefix`)  @param slices how many slices (`slices`) */
export function createKeys(prefix: string, slices: number): Keys {
  // A droplet's slice, key and piece are usually needed one after the other: its hash is computed once.
  let hashed = '';
  let hash = crc32(hashed);
  const hashOf = (droplet: string) => {
    if (droplet !== hashed) {
      hash = crc32(droplet);
      hashed = droplet;
    }
    return hash;
  };
  const sliceOf = (droplet: string) => hashOf(droplet) % slices;
  const pieceOf = (droplet: string) => Math.floor(hashOf(droplet) / slices) % PIECES;
  const index = (slice: number, piece: number) => `${prefix}:{${slice}}:droplets:${piece}`;
  const events = (stream: number) => `${prefix}:{events-${stream}}:events`;
  return {
    prefix,
    slices,
    sliceOf,
    droplet: (id) => `${prefix}:{${sliceOf(id)}}:droplet:${id}`,
    due: (slice) => `${prefix}:{${slice}}:due`,
    index,
    indexOf: (id) => index(sliceOf(id), pieceOf(id)),
    decisions: (slice) => `${prefix}:{${slice}}:decisions`,
    summary: (slice) => `${prefix}:{${slice}}:summary`,
    troubled: (slice) => `${prefix}:{${slice}}:troubled`,
    writeCheck: (slice) => `${prefix}:{${slice}}:write_check`,
    deasLastHeartbeat: `${prefix}:{fleet}:deas:last_heartbeat`,
    deasPreviousHeartbeat: `${prefix}:{fleet}:deas:previous_heartbeat`,
    deasDigest: `${prefix}:{fleet}:deas:digest`,
    deasCount: `${prefix}:{fleet}:deas:instances`,
    deasWanted: `${prefix}:{fleet}:deas:wanted`,
    deasShutdown: `${prefix}:{fleet}:deas:shutdown`,
    deasLost: `${prefix}:{fleet}:deas:lost`,
    deaList: (dea) => `${prefix}:{fleet}:deas:list:${dea}`,
    events: (slice) => events(slice % EVENT_STREAMS),
    eventStreams: Array.from({ length: EVENT_STREAMS }, (_, stream) => events(stream)),
    listening: `${prefix}:{fleet}:listening`,
    watermarks: `${prefix}:{fleet}:watermarks`,
    ingestors: `${prefix}:{fleet}:ingestors`,
    syncState: `${prefix}:{fleet}:sync`,
    passOf: (slice) => `${prefix}:{${slice}}:pass`,
    syncPass: `${prefix}:{sync}:pass`,
    syncPage: (number) => `${prefix}:{sync}:page:${number}`,
    syncMissing: `${prefix}:{sync}:missing`,
    holds: `${prefix}:{fleet}:holds`,
    operatorHolds: `${prefix}:{fleet}:operator_holds`,
    alarms: `${prefix}:{fleet}:alarms`,
    scan: `${prefix}:{fleet}:scan`,
    timeline: `${prefix}:{fleet}:timeline`,
    processes: `${prefix}:{fleet}:processes`,
    counters: `${prefix}:{fleet}:counters`,
    layout: `${prefix}:{fleet}:layout`,
    clock: `${prefix}:{fleet}:clock`,
    failover: `${prefix}:{fleet}:failover`,
    queuePrefix: `${prefix}:{queues}`,
  };
}

/** Field names of a droplet's hash. A name that ends in a colon is followed by an id or an index. */
export const FIELD = {
  rev: 'rev',
  seen: 'seen',
  desired: 'desired',
  gone: 'gone',
  listed: 'listed',
  versionSince: 'version_since',
  rebuilt: 'rebuilt',
  undesired: 'undesired',
  updated: 'updated',
  instance: 'instance:',
  fence: 'fence:',
  trace: 'trace',
  exit: 'exit:',
  exits: 'exits',
  handled: 'handled',
  handledUpdate: 'handled_update',
  slot: 'slot:',
  stop: 'stop:',
  outcome: 'outcome:',
  retry: 'retry:',
  settlements: 'settlements',
} as const;
