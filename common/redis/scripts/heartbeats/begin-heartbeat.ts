import type { ScriptAccess } from '../scripts.ts';

/** What a heartbeat that was begun has to write. */
export interface BegunHeartbeat {
  /** Time of the heartbeat: unique among those of its DEA. */
  atMs: number;
  /** The list of the last finished heartbeat; '' if there is none. */
  storedList: string;
  /** A line for each droplet whose record may be incomplete. */
  incompleteList: string;
  /** The heartbeat of the DEA before this one; absent if none is known. */
  previousHeartbeatMs?: number;
  /** Other heartbeats of the DEA were begun and not finished. They may have listed nothing. */
  hasUnfinished: boolean;
  /** In a cluster: data may have been lost since the list was stored. */
  isSuspect: boolean;
  /** Only in a cluster. */
  dataEpoch?: string;
}

/**
 * Begins to store a heartbeat that differs from the last one of its DEA.
 *
 * @param list a line for each instance it lists, each ended by a newline (see dea-list.ts)
 * @returns stale if a newer heartbeat has begun or was received
 */
export async function beginHeartbeat(
  { scripts, keys }: ScriptAccess,
  { dea, receivedMs, list }: { dea: string; receivedMs: number; list: string },
): Promise<BegunHeartbeat | 'stale'> {
  const reply = await scripts.run(
    'begin_heartbeat',
    [
      keys.deasLastHeartbeat,
      keys.deasPreviousHeartbeat,
      keys.deasDigest,
      keys.deaList(dea),
      keys.deasShutdown,
      keys.failover,
    ],
    [receivedMs, dea, list],
  );
  if (reply === 'stale') return reply;
  const [at, storedList, incompleteList, previous, hasUnfinished, isSuspect, dataEpoch] = reply as [
    at: string,
    storedList: string | null,
    incompleteList: string,
    previous: string | null,
    hasUnfinished: 1 | null,
    isSuspect: 1 | null,
    dataEpoch: string | null,
  ];
  return {
    atMs: Number(at),
    storedList: storedList ?? '',
    incompleteList,
    ...(previous !== null && { previousHeartbeatMs: Number(previous) }),
    hasUnfinished: hasUnfinished === 1,
    isSuspect: isSuspect === 1,
    ...(dataEpoch !== null && { dataEpoch }),
  };
}
