/**
 * The keys in Redis with their types. `deploy/docs/redis.md` is generated from it, and a key that somebody gave another type is removed
 * (`key-types.ts`).
 */
export type KeyType = 'hash' | 'zset' | 'set' | 'list' | 'stream' | 'string';

/** A key, or the keys of one pattern. */
export interface SchemaEntry {
  key: string;
  type: KeyType;
  holds: string;
  writer: string;
  readers: string;
  life: string;
}

/** What each key holds, who writes it (one writer for each field), who reads it, and how long it lives. */
export const SCHEMA: readonly SchemaEntry[] = [
  {
    key: '<prefix>:{<slice>}:droplet:<id>',
    type: 'hash',
    holds: 'one droplet: see the table of its fields',
    writer: 'by field',
    readers: 'analyzer, nudger, reporter',
    life: 'until the droplet has been neither desired nor running for droplet_gc_grace_period',
  },
  {
    key: '<prefix>:{<slice>}:due',
    type: 'zset',
    holds: 'the due list: droplet -> when it must be reconciled (ms)',
    writer: 'all that change a droplet',
    readers: 'analyzer',
    life: 'an entry until the reconcile',
  },
  {
    key: '<prefix>:{<slice>}:droplets:<piece>',
    type: 'hash',
    holds: 'droplet of the slice -> empty; or when the audit first found no record of it (ms); in pieces',
    writer: 'with the droplet',
    readers: 'analyzer (audit), reporter',
    life: 'as the droplet',
  },
  {
    key: '<prefix>:{<slice>}:decisions',
    type: 'stream',
    holds: 'the decision log',
    writer:
      'analyzer (decisions, observations, removed), nudger (sent, dropped), sync (desired, gone, listed), command line and reporter (operator)',
    readers: 'reporter, command line',
    life: 'bounded length',
  },
  {
    key: '<prefix>:{<slice>}:summary',
    type: 'hash',
    holds: 'totals of the slice (common/redis/fleet/summary.ts names them)',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'replaced at every audit',
  },
  {
    key: '<prefix>:{<slice>}:troubled',
    type: 'zset',
    holds: 'droplet that needs attention -> its severity (analyzer/reconcile/store/severity.ts)',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'an entry while the droplet needs attention',
  },
  {
    key: '<prefix>:{fleet}:deas:last_heartbeat',
    type: 'zset',
    holds:
      'DEA -> its latest heartbeat (ms). With half a millisecond: Redis had lost the time, and the DEA counts as silent since then',
    writer: 'ingest; analyzer and nudger write lost times',
    readers: 'analyzer, nudger, reporter',
    life: '10 * droplet_lost after the latest heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:previous_heartbeat',
    type: 'zset',
    holds: 'DEA -> the heartbeat before its latest (ms)',
    writer: 'ingest',
    readers: 'analyzer, nudger',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:digest',
    type: 'hash',
    holds:
      'DEA -> SHA-1 of its latest heartbeat, once all of it is stored; empty: the next heartbeat is stored whole, because something was not accepted, another DEA took over instances, or the digest has expired',
    writer: 'ingest',
    readers: 'ingest',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:instances',
    type: 'hash',
    holds: 'DEA -> how many STARTING, RUNNING or EVACUATING instances its latest heartbeat lists',
    writer: 'ingest',
    readers: 'reporter',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:wanted',
    type: 'hash',
    holds:
      'DEA -> how many instances it lists of droplets of which it holds a wanted slot: its instance there is the one that was listed first, it has not exited and belongs to no other DEA. As of the last write of each droplet; mass_loss counts DEAs with more than 0',
    writer: 'ingest',
    readers: 'analyzer, ingest',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:shutdown',
    type: 'hash',
    holds: 'DEA -> when it announced its shutdown (dea.shutdown, ms)',
    writer: 'ingest',
    readers: 'analyzer, reporter',
    life: 'until its next heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:lost',
    type: 'zset',
    holds: 'silent DEA whose droplets were made due -> its latest heartbeat (ms)',
    writer: 'analyzer',
    readers: 'ingest, analyzer',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{fleet}:deas:list:<dea>',
    type: 'hash',
    holds:
      'what the latest heartbeat listed: list (a line for each instance: fingerprint, droplet), at (ms), unwanted (droplets of which it holds no wanted slot, a line each, or * if that is so of all); while a heartbeat is being stored also next (its list) and unfinished (lines of heartbeats that were never finished); list_lost (ms): the list was lost, and records may name the DEA although it lists their instances no more; suspects: such droplets, a line each, for its next heartbeat; of a DEA without a heartbeat only shutdown (ms), for droplet_lost: its dea.shutdown was handled before its first heartbeat; delisted (droplets that it ceased to list in the two minutes before, a line each: when (ms), droplet); in a cluster also data_epoch',
    writer: 'ingest',
    readers: 'ingest, analyzer, reporter',
    life: 'as last_heartbeat',
  },
  {
    key: '<prefix>:{events-<n>}:events',
    type: 'stream',
    holds: 'droplets that had an exit: kind, droplet; traceparent while ingest traces',
    writer: 'ingest',
    readers: 'analyzer (group "analyzers")',
    life: 'trimmed',
  },
  {
    key: '<prefix>:{fleet}:listening',
    type: 'hash',
    holds:
      'begun (ms): when the first watermark was stored; since, until (ms): ingestors have listened without a gap from then to then; gaps: when no ingestor could receive every heartbeat (begin and end of each in ms, separated by spaces, oldest first); loss_possible_until (ms): heartbeats sent before then may be lost; generation: the generation of the queue group that every ingestor must join, and joined: the one that has published a watermark; taken_over (id, host and pid of the ingestor whose share of the messages the others took over last) and taken_over_at (ms)',
    writer: 'ingest',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:watermarks',
    type: 'zset',
    holds: 'ingestor -> its watermark: every heartbeat delivered to it before then is stored (ms)',
    writer: 'ingest',
    readers: 'ingest, analyzer, nudger',
    life: 'until the ingestor stops or no longer answers',
  },
  {
    key: '<prefix>:{fleet}:ingestors',
    type: 'hash',
    holds: 'ingestor -> when it last reached Redis (ms), its host and its pid',
    writer: 'ingest',
    readers: 'ingest',
    life: 'as its watermark',
  },
  {
    key: '<prefix>:{fleet}:sync',
    type: 'hash',
    holds:
      'the bulk sync: the latest pass (pass, owner, begun), the latest complete one (completed: its begin, succeeded: its end, listed, pages, changed, rejected, duration_ms), failed and error, aborted, last_reply, full_begun (begin of the latest complete one that wrote every entry), full_requested (when a pass that writes every entry was last requested), rewrite, users, requested (when a pass was last requested), rewritten_at_epoch (the data epoch in which the latest pass that wrote everything began); times in ms',
    writer: 'sync; requested: any process that requests a pass',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{sync}:page:<n>',
    type: 'hash',
    holds:
      'the n-th bulk page: sha1, token of the next one, count, rejected, ids (their digest), entries (digests and ids, compressed)',
    writer: 'sync',
    readers: 'sync',
    life: 'until a complete pass has fewer pages',
  },
  {
    key: '<prefix>:{sync}:missing',
    type: 'set',
    holds: 'droplets that left their page and were not found on another one yet',
    writer: 'sync',
    readers: 'sync',
    life: 'until the next complete pass',
  },
  {
    key: '<prefix>:{sync}:pass and <prefix>:{<slice>}:pass',
    type: 'string',
    holds: 'number of the pass of the sync that may write there (a fencing token)',
    writer: 'sync',
    readers: 'sync',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:holds',
    type: 'hash',
    holds:
      'hold -> its state (JSON): mass_loss, mass_delete; mass_loss_evaluated: since when ticks have evaluated it without a gap, until when, and when last before the last gap (ms); release_<hold>: when an operator released it (ms)',
    writer:
      'analyzer (mass_loss, mass_loss_evaluated), sync (mass_delete), command line and reporter (release_...)',
    readers: 'analyzer, nudger, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:operator_holds',
    type: 'hash',
    holds:
      'hold id -> what an operator pauses (JSON): what, of which droplet or DEA, why, who, since and until (ms)',
    writer: 'command line and reporter, for an operator',
    readers: 'analyzer, nudger, reporter',
    life: 'until an operator ends it; one whose time is over counts no more, and the next new one removes it',
  },
  {
    key: '<prefix>:{fleet}:alarms',
    type: 'hash',
    holds:
      'what webhooks were told that is on: hold/<hold>, hold/operator/<id> or process/<kind> -> since when (ms)',
    writer: 'reporter',
    readers: 'reporter',
    life: 'until it is over',
  },
  {
    key: '<prefix>:{fleet}:scan',
    type: 'hash',
    holds:
      'tick: the latest tick (ms); audit_slice, audit_at: the slice that is audited next, and since when it waits (ms)',
    writer: 'analyzer',
    readers: 'analyzer, reporter',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:timeline',
    type: 'hash',
    holds:
      'a field for each 10 s of the last hour, and `long <n>` for each two minutes of the last day, with the worst of it: when (ms), wanted slots, those with a live instance, those that are flapping, and the holds that were on',
    writer: 'analyzer',
    readers: 'reporter',
    life: 'a field is overwritten after an hour or a day',
  },
  {
    key: '<prefix>:{fleet}:processes',
    type: 'hash',
    holds:
      'process id -> its entry (JSON): kind, host, pid, version, start, when it wrote the entry, its last work, delay of its event loop, what it waits for, its end (common/redis/fleet/processes/processes.ts)',
    writer: 'every process, its own entry',
    readers: 'reporter, command line',
    life: 'ten minutes after the process ended; the latest entry of each kind for ever',
  },
  {
    key: '<prefix>:{<slice>}:write_check',
    type: 'string',
    holds: 'nothing: it is written to find out whether Redis takes writes; one on each master',
    writer: 'every process',
    readers: 'none',
    life: 'a minute',
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
    holds:
      'version of this layout, slices, and whose data it is: cc_partition, controller (host and port of the bulk API)',
    writer: 'the first process',
    readers: 'every process at start',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:clock',
    type: 'hash',
    holds:
      "last: the latest time that was given out (ms); ahead: what is added to this Redis's clock, because an earlier one was ahead of it (ms)",
    writer: 'every process',
    readers: 'every process',
    life: 'for ever',
  },
  {
    key: '<prefix>:{fleet}:failover',
    type: 'hash',
    holds:
      'of a cluster: seen:<replication id> of each master seen, and seen:replica <id> of each replica until it is a master; data_epoch: how often a node may have lost recent writes',
    writer: 'the process that notices a change',
    readers: 'every process',
    life: 'for ever, bounded',
  },
  {
    key: '<prefix>:{queues}:...',
    type: 'hash',
    holds: 'the BullMQ queues: starts, restarts, stops, slices, sync, webhooks',
    writer: 'BullMQ',
    readers: 'BullMQ, Bull Board',
    life: 'a job until it is done; of starts, restarts and stops the last 100 longer',
  },
];
