import type { Counter } from 'prom-client';
import { allWholeEveryMs } from '../../../common/policy/thresholds.ts';
import { markFullSyncRequested } from '../../../common/queues/sync-request.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { dropletOfLine, linesOf } from '../../../common/redis/fleet/dea-list.ts';
import { isRead } from '../../../common/redis/records/readers.ts';
import { reportRepair } from '../../../common/redis/records/repairs.ts';
import { scanIds } from '../../../common/redis/records/scan-ids.ts';
import { expireAllDigests, expireDigests } from '../../../common/redis/scripts/deas/expire-digests.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import type { RateLimitedLog } from '../../../common/runtime/log/log.ts';
import type { RepairedByHeartbeat } from '../storing/stored-heartbeat.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  dropletLostMs: number;
  limited: RateLimitedLog;
  metrics: { repairs: Counter<'what'> };
}

/** Whole heartbeats that one ingestor stores a second for verification: more would cost a steady fleet of a million instances 5% of its CPU. */
const WHOLE_PER_S = 1;
/** Whole heartbeats that an ingestor which had fewer may store at once. */
const MAX_WHOLE_AT_ONCE = 100;
/** Wait before Redis is asked again to expire all digests (ms). */
const RETRY_MS = 1_000;
/** Droplets read at once by the search for instances that no DEA lists. */
const READ_AT_ONCE = 500;

/**
 * Finds what Redis has lost although heartbeats stay equal. Each DEA has its turn once in `verifyEveryMs` (touch_deas.lua).
 *
 * Then the digest of the DEA expires, so its next heartbeat is stored whole. In a fleet that is too large for that only some of the
 * DEAs have this; of the others it is checked that a record exists for each droplet on their list, which costs a tenth.
 */
export class DeaVerifier {
  readonly #options: Options;
  #allowance = MAX_WHOLE_AT_ONCE;
  #allowedAtMs: number | undefined;
  #allExpiredMs = Number.NEGATIVE_INFINITY;
  #expiring: NodeJS.Timeout | undefined;
  /** DEAs whose list was lost: instances that no heartbeat lists any more are searched for in all records. */
  readonly #relisted = new Set<string>();
  #search: Promise<void> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Verifies DEAs whose heartbeats were equal. */
  async verify(deas: readonly string[]): Promise<void> {
    if (deas.length === 0) return;
    const whole = this.#takeAllowance(deas.length);
    const rest = deas.slice(whole);
    await expireDigests(this.#options.redis, [...deas.slice(0, whole), ...(await this.#incomplete(rest))]);
  }

  /** Reports what the heartbeat of a DEA that was stored whole has built again. */
  report(
    dea: string,
    { records, isIncomplete, indexEntries, isDigestMissing, isListLost }: RepairedByHeartbeat,
  ): void {
    reportRepair(this.#reporter, 'record', records);
    if (isIncomplete) this.#expireAll();
    reportRepair(this.#reporter, 'index', [], indexEntries);
    if (indexEntries > 0) this.#requestFullPass();
    if (isDigestMissing) reportRepair(this.#reporter, 'digest', [dea]);
    if (!isListLost) return;
    reportRepair(this.#reporter, 'list', [dea]);
    this.#relisted.add(dea);
    this.#search ??= this.#findUnlisted().finally(() => {
      this.#search = undefined;
    });
  }

  /** Only a full pass finds the records of droplets that are gone, which nobody lists. */
  #requestFullPass(): void {
    const { redis, clock, dropletLostMs, limited } = this.#options;
    void markFullSyncRequested(redis, clock, { dropletLostMs }).catch((error: unknown) => {
      limited.warn(
        'full pass',
        { event: 'heartbeats_not_verified', err: error },
        'full pass not requested; the next repair requests one',
      );
    });
  }

  /** A record that lacks an instance may lack those of other DEAs, until they are stored whole, too: now, or as soon as it may be. */
  #expireAll(
    afterMs = this.#allExpiredMs + allWholeEveryMs(this.#options) - this.#options.clock.nowMs(),
  ): void {
    const { redis, clock, limited } = this.#options;
    if (this.#expiring !== undefined) return;
    if (afterMs > 0) {
      this.#expiring = setTimeout(() => {
        this.#expiring = undefined;
        this.#expireAll(0);
      }, afterMs).unref();
      return;
    }
    this.#allExpiredMs = clock.nowMs();
    void expireAllDigests(redis).catch((error: unknown) => {
      limited.warn(
        'expire',
        { event: 'heartbeats_not_verified', err: error },
        'digests not expired; retrying',
      );
      this.#expireAll(RETRY_MS);
    });
  }

  /** Resolves when no search is under way. */
  async idle(): Promise<void> {
    await this.#search;
  }

  get #reporter() {
    const { metrics, limited } = this.#options;
    return { repairs: metrics.repairs, limited };
  }

  /** @returns how many of the `wanted` DEAs may be stored whole now */
  #takeAllowance(wanted: number): number {
    const nowMs = this.#options.clock.nowMs();
    const earned = ((nowMs - (this.#allowedAtMs ?? nowMs)) * WHOLE_PER_S) / 1000;
    this.#allowedAtMs = nowMs;
    this.#allowance = Math.min(MAX_WHOLE_AT_ONCE, this.#allowance + Math.max(0, earned));
    const taken = Math.min(wanted, Math.floor(this.#allowance));
    this.#allowance -= taken;
    return taken;
  }

  /** Those of the DEAs whose list is lost, or lists a droplet without a record. */
  async #incomplete(deas: readonly string[]): Promise<string[]> {
    const incomplete = await Promise.all(
      deas.map(async (dea) => ((await this.#isComplete(dea)) ? [] : [dea])),
    );
    return incomplete.flat();
  }

  async #isComplete(dea: string): Promise<boolean> {
    const { redis } = this.#options;
    const { client, keys } = redis;
    const list = await client.hget(keys.deaList(dea), 'list');
    if (list === null) return false;
    const records = [...new Set(linesOf(list).map(dropletOfLine))].map(keys.droplet);
    if (records.length === 0) return true;
    if (!redis.isCluster) return (await client.exists(...records)) === records.length;
    const exist = await Promise.all(records.map((record) => client.exists(record)));
    return exist.every((exists) => exists === 1);
  }

  /**
   * Searches all records for instances on DEAs whose list was lost and that do not list them any more. The next heartbeat of the
   * DEA marks them as no longer listed. Without the list nothing else would ever find them, and they would count as live for ever.
   */
  async #findUnlisted(): Promise<void> {
    const { redis, limited } = this.#options;
    const { client, keys } = redis;
    try {
      while (this.#relisted.size > 0) {
        const deas = new Set(this.#relisted);
        this.#relisted.clear();
        const unlisted = await this.#unlistedOf(deas);
        for (const dea of deas) {
          const lines = [...(unlisted.get(dea) ?? [])].map((droplet) => `        ${droplet}\n`).join('');
          if (lines !== '') await client.hset(keys.deaList(dea), 'suspects', lines);
          await client.hdel(keys.deaList(dea), 'list_lost');
          if (lines !== '') await expireDigests(redis, [dea]);
        }
      }
    } catch (error) {
      // The field `list_lost` stays, so the next turn of the DEA searches again.
      limited.warn(
        'search',
        { event: 'heartbeats_not_verified', err: error },
        'search for unlisted instances failed',
      );
    }
  }

  async #unlistedOf(deas: ReadonlySet<string>): Promise<Map<string, Set<string>>> {
    const { redis } = this.#options;
    const { client, keys } = redis;
    const found = new Map<string, Set<string>>();
    for await (const ids of scanIds(redis)) {
      for (let at = 0; at < ids.length; at += READ_AT_ONCE) {
        for (const droplet of await readDroplets(redis, ids.slice(at, at + READ_AT_ONCE))) {
          if (!isRead(droplet)) continue;
          for (const { dea, lastListedMs } of droplet.instances) {
            if (lastListedMs !== undefined || !deas.has(dea)) continue;
            const droplets = found.get(dea) ?? new Set();
            found.set(dea, droplets.add(droplet.id));
          }
        }
      }
    }
    for (const [dea, droplets] of found) {
      const list = await client.hget(keys.deaList(dea), 'list');
      for (const listed of linesOf(list ?? '').map(dropletOfLine)) droplets.delete(listed);
    }
    return found;
  }
}
