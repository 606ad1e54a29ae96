import { crc32 } from 'node:zlib';

/**
 * The Redis schema: every key that the health manager uses, spelled here and nowhere else.
 *
 * Droplets are shared out over `slices` by a hash of their id. The slice is the hash tag of its keys, so that
 * all keys of a slice sit in one Redis Cluster slot and a script may touch several of them. What is of the fleet as a
 * whole has one tag too: whoever can say there that it listens can also store there when a DEA was heard.
 */
export interface Keys {
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
  deasLastHeartbeat: string;
  deasPreviousHeartbeat: string;
  deasDigest: string;
  deasCount: string;
  deasShutdown: string;
  deasLost: string;
  deaList(dea: string): string;
  events(slice: number): string;
  eventStreams: readonly string[];
  listening: string;
  ingestors: string;
  syncState: string;
  /** The pass of the sync that may write in the slice. */
  passOf(slice: number): string;
  syncPass: string;
  syncPage(number: number): string;
  syncMissing: string;
  holds: string;
  scan: string;
  timeline: string;
  counters: string;
  layout: string;
  clock: string;
  failover: string;
  queuePrefix: string;
}

/** Pieces of a slice's index: one of up to 512 ids is kept compactly. */
export const PIECES = 16;

/** Streams of exits and updates; a slice's events all go to one of them, so a droplet's stay in order. */
export const EVENT_STREAMS = 4;

/** Version of this layout, kept in Redis: another one is refused at start. */
export const LAYOUT_VERSION = 3;

/** @param prefix first part of every key (`redis.prefix`)  @param slices how many slices (`slices`) */
export function createKeys(prefix: string, slices: number): Keys {
  // One after the other, a droplet's slice, key and piece are asked for: its hash is computed once.
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
    slices,
    sliceOf,
    droplet: (id) => `${prefix}:{${sliceOf(id)}}:droplet:${id}`,
    due: (slice) => `${prefix}:{${slice}}:due`,
    index,
    indexOf: (id) => index(sliceOf(id), pieceOf(id)),
    decisions: (slice) => `${prefix}:{${slice}}:decisions`,
    summary: (slice) => `${prefix}:{${slice}}:summary`,
    troubled: (slice) => `${prefix}:{${slice}}:troubled`,
    deasLastHeartbeat: `${prefix}:{fleet}:deas:last_heartbeat`,
    deasPreviousHeartbeat: `${prefix}:{fleet}:deas:previous_heartbeat`,
    deasDigest: `${prefix}:{fleet}:deas:digest`,
    deasCount: `${prefix}:{fleet}:deas:instances`,
    deasShutdown: `${prefix}:{fleet}:deas:shutdown`,
    deasLost: `${prefix}:{fleet}:deas:lost`,
    deaList: (dea) => `${prefix}:{fleet}:deas:list:${dea}`,
    events: (slice) => events(slice % EVENT_STREAMS),
    eventStreams: Array.from({ length: EVENT_STREAMS }, (_, stream) => events(stream)),
    listening: `${prefix}:{fleet}:listening`,
    ingestors: `${prefix}:{fleet}:ingestors`,
    syncState: `${prefix}:{fleet}:sync`,
    passOf: (slice) => `${prefix}:{${slice}}:pass`,
    syncPass: `${prefix}:{sync}:pass`,
    syncPage: (number) => `${prefix}:{sync}:page:${number}`,
    syncMissing: `${prefix}:{sync}:missing`,
    holds: `${prefix}:{fleet}:holds`,
    scan: `${prefix}:{fleet}:scan`,
    timeline: `${prefix}:{fleet}:timeline`,
    counters: `${prefix}:{fleet}:counters`,
    layout: `${prefix}:{fleet}:layout`,
    clock: `${prefix}:{fleet}:clock`,
    failover: `${prefix}:{fleet}:failover`,
    queuePrefix: `${prefix}:{queues}`,
  };
}

/** A row of the schema's documentation. */
export interface SchemaEntry {
  key: string;
  type: 'hash' | 'zset' | 'set' | 'stream' | 'string';
  holds: string;
  writer: string;
  readers: string;
  life: string;
}

/** What each key is, who writes it (one writer a field), who reads it, how long it lives. */
export const SCHEMA: readonly SchemaEntry[] = [
  {
    key: '<prefix>:{<slice>}:droplet:<id>',
    type: 'hash',
    holds: 'one droplet: see the table of its fields',
    writer: 'by field',
    readers: 'analyzer, nudger, reporter',
    life: 'until the droplet is neither desired nor running for droplet_gc_grace_period',
  },
  {
    key: '<prefix>:{<slice>}:due',
    type: 'zset',
    holds: 'droplet -> when it must be looked at (ms)',
    writer: 'all who change a droplet',
    readers: 'analyzer',
    life: 'an entry until the look',
  },
  {
    key: '<prefix>:{<slice>}:droplets:<piece>',
    type: 'hash',
    holds: 'the ids of the droplets of the slice, in pieces',
    writer: 'with the droplet',
    readers: 'analyzer (audit), reporter',
    life: 'as the droplet',
  },
  {
    key: '<prefix>:{<slice>}:decisions',
    type: 'stream',
    holds: 'the decision log',
    writer: 'analyzer (decided, noticed, removed), nudger (sent, dropped), sync (desired, gone, listed)',
    readers: 'reporter, command line',
    life: 'bounded length',
  },
  {
    key: '<prefix>:{<slice>}:summary',
    type: 'hash',
    holds: 'totals of the slice (common/redis/summary.ts names them)',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'replaced at every audit',
  },
  {
    key: '<prefix>:{<slice>}:troubled',
    type: 'zset',
    holds: 'droplet that is not as it should be -> how badly off it is (analyzer/reconcile/severity.ts)',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'an entry until the droplet is as it should be',
  },
  {
    key: '<prefix>:{fleet}:deas:last_heartbeat',
    type: 'zset',
    holds: 'DEA -> its latest heartbeat (ms)',
    writer: 'ingest',
    readers: 'analyzer, nudger, reporter',
    life: '10 * droplet_lost after the last heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:previous_heartbeat',
    type: 'zset',
    holds: 'DEA -> the heartbeat before (ms)',
    writer: 'ingest',
    readers: 'analyzer, nudger',
    life: 'as heard',
  },
  {
    key: '<prefix>:{fleet}:deas:digest',
    type: 'hash',
    holds: 'DEA -> SHA-1 of its latest heartbeat, once all of it is stored',
    writer: 'ingest',
    readers: 'ingest',
    life: 'as heard',
  },
  {
    key: '<prefix>:{fleet}:deas:instances',
    type: 'hash',
    holds: 'DEA -> how many STARTING, RUNNING or EVACUATING instances its latest heartbeat lists',
    writer: 'ingest',
    readers: 'analyzer, reporter',
    life: 'as heard',
  },
  {
    key: '<prefix>:{fleet}:deas:shutdown',
    type: 'hash',
    holds: 'DEA -> when it said dea.shutdown (ms)',
    writer: 'ingest',
    readers: 'analyzer, reporter',
    life: 'until it is heard again',
  },
  {
    key: '<prefix>:{fleet}:deas:lost',
    type: 'zset',
    holds: 'silent DEA whose droplets have been marked due -> its latest heartbeat (ms)',
    writer: 'analyzer',
    readers: 'analyzer',
    life: 'as heard',
  },
  {
    key: '<prefix>:{fleet}:deas:list:<dea>',
    type: 'hash',
    holds:
      'what the latest heartbeat listed: list (a line each: fingerprint, droplet), at (ms); next and writing while a heartbeat is being stored; in a cluster also gone (what it ceased to list in the last two minutes: a line each, when (ms), droplet) and data_epoch',
    writer: 'ingest',
    readers: 'ingest, analyzer, reporter',
    life: 'as heard',
  },
  {
    key: '<prefix>:{events-<n>}:events',
    type: 'stream',
    holds: 'droplets that had an exit or an update: kind, droplet; traceparent while ingest traces',
    writer: 'ingest',
    readers: 'analyzer (group "analyzers")',
    life: 'trimmed',
  },
  {
    key: '<prefix>:{fleet}:listening',
    type: 'hash',
    holds:
      'since, until (ms): how long ingestors have been listening without a gap; missed (ms): when heartbeats may last have been lost',
    writer: 'ingest',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:ingestors',
    type: 'zset',
    holds: 'ingestor -> until when all that NATS gave it is stored (ms), as it last said',
    writer: 'ingest',
    readers: 'ingest, analyzer, nudger',
    life: 'until it stops or is found gone',
  },
  {
    key: '<prefix>:{fleet}:sync',
    type: 'hash',
    holds:
      'the bulk sync: the latest pass (pass, owner, begun), the latest complete one (completed: its begin, succeeded: its end, listed, pages, changed, rejected, duration_ms), failed and error, aborted, last_reply, rewrite, users, wanted, rewritten_at_epoch: the data epoch that the latest pass that wrote everything began in; times in ms',
    writer: 'sync; wanted: whoever asks for a pass',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{sync}:page:<n>',
    type: 'hash',
    holds:
      'the n-th bulk page: sha1, token of the next one, count, rejected, entries (digests and ids, compressed)',
    writer: 'sync',
    readers: 'sync',
    life: 'until a complete pass has fewer pages',
  },
  {
    key: '<prefix>:{sync}:missing',
    type: 'set',
    holds: 'droplets that left the page they were on and were not seen on another one yet',
    writer: 'sync',
    readers: 'sync',
    life: 'until the next complete pass',
  },
  {
    key: '<prefix>:{sync}:pass and <prefix>:{<slice>}:pass',
    type: 'string',
    holds: 'number of the pass of the sync that may write there',
    writer: 'sync',
    readers: 'sync',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:holds',
    type: 'hash',
    holds:
      'hold -> its state (JSON): mass_loss, mass_delete; mass_loss_evaluated: since when ticks have judged it without a gap, and until when (ms); release_<hold>: an operator asks for its end',
    writer:
      'analyzer (mass_loss, mass_loss_evaluated), sync (mass_delete), command line and reporter (release_...)',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:scan',
    type: 'hash',
    holds: 'the cron: tick (ms); the slow audit: audit_slice, audit_at (ms)',
    writer: 'analyzer',
    readers: 'analyzer, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:timeline',
    type: 'hash',
    holds:
      'the last hour, a field for each 10 s of it: when (ms), wanted slots, those with a live instance, those that are flapping',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'a field is written anew after an hour',
  },
  {
    key: '<prefix>:{fleet}:counters',
    type: 'hash',
    holds: 'messages received and sent by the whole deployment',
    writer: 'every process, by increment',
    readers: 'reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:layout',
    type: 'hash',
    holds: 'version of this layout, slices',
    writer: 'the first process',
    readers: 'every process at start',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:clock',
    type: 'hash',
    holds:
      "last: the time when it was last asked for (ms); ahead: what is added to this Redis's clock, as an earlier one was ahead of it (ms)",
    writer: 'every process',
    readers: 'every process',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:failover',
    type: 'hash',
    holds:
      'of a cluster: of:<replication id> of each master that was seen, and of:replica <id> of each replica, until it is a master; data_epoch: how often a node may have lost recent writes',
    writer: 'whoever notices',
    readers: 'every process',
    life: 'for ever, bounded',
  },
  {
    key: '<prefix>:{queues}:...',
    type: 'hash',
    holds: 'the BullMQ queues: starts, restarts, stops, slices, sync',
    writer: 'BullMQ',
    readers: 'BullMQ, Bull Board',
    life: 'a job until it is done; of starts, restarts and stops the last 100 longer',
  },
];

/** Field names of a droplet's hash; FIELD_NOTES says what each is. Those that end in a colon are followed by what they are of. */
export const FIELD = {
  rev: 'rev',
  seen: 'seen',
  desired: 'desired',
  gone: 'gone',
  listed: 'listed',
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
} as const;

/** Who writes each field of a droplet's hash (one writer a field), and what it holds. */
export const FIELD_NOTES: Readonly<Record<keyof typeof FIELD, { writer: string; holds: string }>> = {
  rev: { writer: 'every change', holds: 'counts the changes of the record' },
  seen: { writer: 'whoever creates the record', holds: 'first seen (ms)' },
  desired: { writer: 'sync', holds: 'the desired state in words' },
  gone: { writer: 'sync', holds: 'left the desired state, last listed then (ms)' },
  listed: { writer: 'sync', holds: 'begin of the latest pass that wrote the entry (ms)' },
  updated: { writer: 'ingest', holds: 'latest `droplet.updated` (ms)' },
  instance: { writer: 'ingest', holds: 'instance guid -> as last heard, in words' },
  fence: {
    writer: 'ingest',
    holds: 'DEA -> heartbeats of it received before then (ms) must not change this droplet',
  },
  trace: {
    writer: 'ingest',
    holds: 'when a heartbeat last changed the record (ms), and its `traceparent`; only while tracing is on',
  },
  exit: { writer: 'ingest', holds: 'instance guid -> its exit, in words' },
  exits: { writer: 'ingest', holds: 'how many exits there were' },
  handled: { writer: 'analyzer', holds: 'how many exits were taken into account' },
  handledUpdate: { writer: 'analyzer', holds: 'latest update taken into account (ms)' },
  slot: { writer: 'analyzer', holds: 'index -> slot (JSON)' },
  stop: { writer: 'analyzer', holds: 'instance guid -> stop on its way (JSON)' },
  outcome: { writer: 'nudger', holds: 'decision id -> what became of it (JSON)' },
};
