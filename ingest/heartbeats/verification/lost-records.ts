import { allWholeEveryMs } from '../../../common/policy/thresholds.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { expireAllDigests } from '../../../common/redis/scripts/deas/expire-digests.ts';
import {
  type HeartbeatWrite,
  type ListedDroplets,
  mergeStored,
  type StoredDroplets,
  storeHeartbeatDroplets,
} from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  dropletLostMs: number;
}

/** Droplets that may be remembered. Those beyond are found again by the next heartbeat that lists them. */
const MAX_REMEMBERED = 100_000;

/**
 * Decides when records that Redis lost are built again.
 *
 * A record that one DEA begins anew lacks the instances of the others, so starts would be sent for them when its grace period ends.
 * So first the digests of all DEAs expire, and the record is written after that. Every DEA then sends a heartbeat within
 * the grace period, which is stored whole. A process that dies in between leaves no record, so the loss is found again.
 *
 * All digests expire at most once in `allWholeEveryMs`. Until then nothing is written of a record that is found to be lost.
 */
export class LostRecords {
  readonly #options: Options;
  #expiredMs = Number.NEGATIVE_INFINITY;
  /** Lost records that were found since the digests expired. */
  #found = new Set<string>();
  /** Those that were found before: they may be built again. */
  #prepared = new Set<string>();
  #expiring: Promise<void> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * @param lost droplets whose record is lost
   * @returns those that may be built again, and when their grace period begins; undefined if none may be yet
   * @throws what Redis throws
   */
  async beforeRebuild(
    lost: readonly string[],
  ): Promise<{ ids: readonly string[]; nowMs: number } | undefined> {
    const { clock } = this.#options;
    const everyMs = allWholeEveryMs(this.#options);
    if (clock.nowMs() - this.#expiredMs >= everyMs) this.#prepared.clear();
    for (const id of lost) {
      if (!this.#prepared.has(id) && this.#found.size < MAX_REMEMBERED) this.#found.add(id);
    }
    if (clock.nowMs() - this.#expiredMs >= everyMs) {
      this.#expiring ??= this.#expireAll().finally(() => {
        this.#expiring = undefined;
      });
      await this.#expiring;
    }
    const ids = lost.filter((id) => this.#prepared.delete(id));
    return ids.length === 0 ? undefined : { ids, nowMs: clock.nowMs() };
  }

  async #expireAll(): Promise<void> {
    const found = this.#found;
    this.#found = new Set();
    await expireAllDigests(this.#options.redis);
    this.#expiredMs = this.#options.clock.nowMs();
    for (const id of found) this.#prepared.add(id);
  }
}

/**
 * When and of which of these droplets a lost record may be built again. undefined: of none of them yet; the DEA's next heartbeat is
 * stored whole and asks again.
 */
export type BeforeRebuild = (
  lost: readonly string[],
) => Promise<{ ids: readonly string[]; nowMs: number } | undefined>;

/** Builds lost records again. @returns what was stored in all, and of which droplets records were built again */
export async function rebuildLost(
  redis: RedisConnections,
  { write, droplets, stored }: { write: HeartbeatWrite; droplets: ListedDroplets; stored: StoredDroplets },
  beforeRebuild: BeforeRebuild,
): Promise<{ stored: StoredDroplets; ids: readonly string[] }> {
  const allowed = stored.lost.length === 0 ? undefined : await beforeRebuild(stored.lost);
  if (allowed === undefined || allowed.ids.length === 0) return { stored, ids: [] };
  const lost = new Map(allowed.ids.map((id) => [id, droplets.get(id) ?? []]));
  const rebuilt = await storeHeartbeatDroplets(redis, { ...write, rebuiltMs: allowed.nowMs }, lost);
  const isOther = (droplet: string) => !lost.has(droplet);
  const others = { ...stored, unwanted: stored.unwanted.filter(isOther), lost: stored.lost.filter(isOther) };
  return { stored: mergeStored([others, rebuilt]), ids: allowed.ids };
}
