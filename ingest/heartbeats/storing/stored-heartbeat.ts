import type { BegunHeartbeat } from '../../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import type {
  Claim,
  Refusal,
  StoredDroplets,
} from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import type { ListDiff } from './list-diff.ts';

/** What became of a heartbeat. */
export interface StoredHeartbeat {
  /** How many droplets were changed. */
  droplets: number;
  /** A newer heartbeat was stored before, so this one was not. */
  stale: boolean;
  /** It lists the same as the one before, and was stored whole only to find what Redis has lost. */
  isEqual: boolean;
  repaired: RepairedByHeartbeat;
  /** Of instances that belong to other DEAs: they were rejected. */
  claims: readonly Claim[];
  refusals: readonly Refusal[];
  /** When one of the claims may apply (epoch ms). */
  retryAtMs?: number;
}

/** What was missing in Redis although an earlier heartbeat had stored it. */
export interface RepairedByHeartbeat {
  records: string[];
  /** One of the records existed and lacked something, so that other DEAs' instances may be missing, too. */
  isIncomplete: boolean;
  indexEntries: number;
  isDigestMissing: boolean;
  isListLost: boolean;
}

export const NOTHING_REPAIRED: RepairedByHeartbeat = {
  records: [],
  isIncomplete: false,
  indexEntries: 0,
  isDigestMissing: false,
  isListLost: false,
};

export const NOTHING_STORED: StoredHeartbeat = {
  ...{ droplets: 0, stale: false, isEqual: false, repaired: NOTHING_REPAIRED },
  ...{ claims: [], refusals: [] },
};

/** @param rebuilt droplets whose lost record was built again */
export function storedHeartbeat(
  stored: StoredDroplets,
  begun: BegunHeartbeat,
  diff: ListDiff,
  rebuilt: readonly string[] = [],
): StoredHeartbeat {
  const { changed, claims, refusals } = stored;
  const isEqual = begun.isVerified && diff.isEqual;
  const repaired = repairedBy(stored, begun, diff, rebuilt);
  return { droplets: changed, stale: false, isEqual, repaired, claims, refusals };
}

function repairedBy(
  { wholeAgain, reindexed }: StoredDroplets,
  { isDigestMissing, isListLost }: BegunHeartbeat,
  { asBefore }: ListDiff,
  rebuilt: readonly string[],
): RepairedByHeartbeat {
  if (rebuilt.length === 0 && wholeAgain.length === 0 && reindexed === 0 && !isListLost && !isDigestMissing)
    return NOTHING_REPAIRED;
  // A droplet that is listed as before was stored before.
  const incomplete = wholeAgain.filter((id) => asBefore.has(id) && !rebuilt.includes(id));
  const records = [...rebuilt, ...incomplete];
  return {
    records,
    isIncomplete: incomplete.length > 0,
    indexEntries: reindexed,
    isDigestMissing,
    isListLost,
  };
}
