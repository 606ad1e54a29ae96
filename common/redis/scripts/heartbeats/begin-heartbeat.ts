import { receivedTogetherMs, verifyEveryMs } from '../../../policy/thresholds.ts';
import type { ScriptAccess } from '../scripts.ts';

/** As the list of unwanted droplets: every droplet of the DEA is one. */
export const ALL_DROPLETS = '*';

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
  /** Every droplet that it lists must be verified: it is the DEA's turn, or the digest of its last heartbeat is missing. */
  isVerified: boolean;
  /** A stored list was lost: records may name the DEA although it lists their instances no more. */
  isListLost: boolean;
  /** There should be a digest of the DEA's last heartbeat, and is none. */
  isDigestMissing: boolean;
  /** A line for each droplet of which the DEA holds no wanted slot, as of the last write of each; or `ALL_DROPLETS`. */
  unwantedList: string;
  /** A line for each instance that another DEA took over while this one was silent (`lineOfInstance`). */
  releasedList: string;
}

/**
 * More DEAs are not stored: a fleet of a million instances has ten thousand. A thousand that are made up cost a few hundred
 * kilobytes, as long as they list nothing.
 */
export const MAX_DEAS = 50_000;

/**
 * Begins to store a heartbeat that differs from the last one of its DEA.
 *
 * @param dropletLostMs gives how often the DEA is verified
 * @param earliestMs when it may have been delivered to this process at the earliest (ms)
 * @param list a line for each instance it lists, each ended by a newline (see dea-list.ts)
 * @param isRepeated it was stored before: any newer one makes it stale
 * @param mayWait it can be begun later, if another one that was received at about the same time is not finished
 * @returns stale if a newer heartbeat has begun or was received; full if the DEA is new and too many are known; unfinished if it must
 * wait
 */
export async function beginHeartbeat(
  { scripts, keys }: ScriptAccess,
  {
    dea,
    receivedMs,
    earliestMs,
    list,
    dropletLostMs,
    isRepeated = false,
    mayWait = false,
  }: {
    dea: string;
    receivedMs: number;
    earliestMs: number;
    list: string;
    dropletLostMs: number;
    isRepeated?: boolean;
    mayWait?: boolean;
  },
): Promise<BegunHeartbeat | 'stale' | 'full' | 'unfinished'> {
  const reply = await scripts.run(
    'begin_heartbeat',
    [
      keys.deasLastHeartbeat,
      keys.deasPreviousHeartbeat,
      keys.deasDigest,
      keys.deaList(dea),
      keys.deasShutdown,
      keys.failover,
      keys.deasCount,
    ],
    [
      ...[receivedMs, dea, list, Math.floor(earliestMs), MAX_DEAS, verifyEveryMs({ dropletLostMs })],
      isRepeated ? 0 : receivedTogetherMs({ dropletLostMs }),
      mayWait ? 1 : 0,
    ],
  );
  if (reply === 'stale' || reply === 'full' || reply === 'unfinished') return reply;
  const [at, storedList, incompleteList, previous, hasUnfinished, isSuspect, dataEpoch, ...verification] =
    reply as [
      at: string,
      storedList: string | null,
      incompleteList: string,
      previous: string | null,
      hasUnfinished: 1 | null,
      isSuspect: 1 | null,
      dataEpoch: string | null,
      isVerified: 1 | null,
      isListLost: 1 | null,
      isDigestMissing: 1 | null,
      unwantedList: string | null,
      releasedList: string | null,
    ];
  const [isVerified, isListLost, isDigestMissing] = verification.map((flag) => flag === 1) as [
    boolean,
    boolean,
    boolean,
  ];
  return {
    atMs: Number(at),
    storedList: storedList ?? '',
    incompleteList,
    ...(previous !== null && { previousHeartbeatMs: Math.ceil(Number(previous)) }),
    hasUnfinished: hasUnfinished === 1,
    isSuspect: isSuspect === 1,
    ...(dataEpoch !== null && { dataEpoch }),
    isVerified,
    isListLost,
    isDigestMissing,
    unwantedList: (reply as (string | null)[])[10] ?? '',
    releasedList: (reply as (string | null)[])[11] ?? '',
  };
}
