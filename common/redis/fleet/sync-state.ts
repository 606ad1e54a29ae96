import type { RedisConnections } from '../connection/connections.ts';

/** The numbers of the sync's state, each with its field. Times are ms on Redis's clock. */
const FIELDS = {
  /** When the latest pass began. */
  begunMs: 'begun',
  /** When the latest complete pass began, and the latest complete one that wrote every entry. */
  completedMs: 'completed',
  fullBegunMs: 'full_begun',
  /** When a pass that writes every entry was last requested. */
  fullRequestedMs: 'full_requested',
  /** When a pass last completed, failed, or was aborted because its process stopped. */
  succeededMs: 'succeeded',
  failedMs: 'failed',
  abortedMs: 'aborted',
  /** When a pass was last requested. */
  requestedMs: 'requested',
  /** When a page was last received. */
  lastReplyMs: 'last_reply',
  /** Of the latest complete pass: its duration, and how many entries it listed and rejected. */
  durationMs: 'duration_ms',
  listed: 'listed',
  pages: 'pages',
  rejected: 'rejected',
  /** Users of the controller. */
  users: 'users',
} as const;

/** The state of the bulk sync. What never happened is absent. */
export interface SyncState extends Partial<Record<keyof typeof FIELDS, number>> {
  /** Writes of earlier passes are lost: the next pass must write every entry and search for every droplet. */
  rewrite: boolean;
  /** The current data epoch of a cluster, and that of the latest pass that wrote every entry; null outside a cluster. */
  dataEpoch: string | null;
  rewrittenAtEpoch: string | null;
}

/** Times in ms and counts, as this program writes them. */
const isTime = (text: string) => /^\d{1,15}$/.test(text);

/** Two commands, in one packet. */
export async function readSyncState({ client, keys }: RedisConnections): Promise<SyncState> {
  const names = Object.keys(FIELDS) as (keyof typeof FIELDS)[];
  const [dataEpoch, [rewrite, rewrittenAtEpoch = null, ...numbers]] = await Promise.all([
    client.hget(keys.failover, 'data_epoch'),
    client.hmget(keys.syncState, 'rewrite', 'rewritten_at_epoch', ...names.map((name) => FIELDS[name])),
  ]);
  const state: SyncState = { rewrite: Boolean(rewrite), dataEpoch, rewrittenAtEpoch };
  names.forEach((name, at) => {
    const text = numbers[at];
    // What somebody edited so that it is no number counts as missing.
    if (text && isTime(text)) state[name] = Number(text);
  });
  return state;
}
