import type { PolicySettings } from '../../../../common/policy/settings.ts';
import { verifyEveryMs } from '../../../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../../../common/redis/connection/connections.ts';
import type { SyncState } from '../../../../common/redis/fleet/sync-state.ts';
import { readEntries } from './page-store.ts';

/** Pages that follow one another have turns far apart: a prime that does not divide the period. */
const TURN_SPREAD = 199_999;
/** Unchanged entries written a second for verification: more would cost a steady fleet of a million apps 5% of its CPU. */
const WHOLE_ENTRIES_PER_S = 100;
/** The fewest entries that one pass may write again, however short its period is. */
const MIN_WHOLE_ENTRIES = 1000;

/**
 * Verifies stored pages that are as before. Each has its turn once in `verifyEveryMs`. Its entries are then written again; a list that is
 * too long for that has this only for some of its pages, and of the others it is checked that each droplet has a record.
 */
export class PageVerification {
  readonly #redis: RedisConnections;
  readonly #fromMs: number | undefined;
  readonly #toMs: number;
  readonly #everyMs: number;
  #allowance: number;
  /** How many pages the latest complete pass had. */
  readonly pagesBefore: number;

  /** @param state at the begin of the pass @param begunMs when the pass began */
  constructor(
    redis: RedisConnections,
    { completedMs, pages = 0 }: Pick<SyncState, 'completedMs' | 'pages'>,
    begunMs: number,
    settings: Pick<PolicySettings, 'dropletLostMs'>,
  ) {
    this.#everyMs = verifyEveryMs(settings);
    this.#redis = redis;
    this.pagesBefore = pages;
    this.#fromMs = completedMs;
    this.#toMs = begunMs;
    this.#allowance = Math.max(
      MIN_WHOLE_ENTRIES,
      ((begunMs - (completedMs ?? begunMs)) * WHOLE_ENTRIES_PER_S) / 1000,
    );
  }

  /** Whether the entries of this page must be written although they are as before. */
  async mustWrite(number: number, count: number): Promise<boolean> {
    if (!this.#isTurnOf(number)) return false;
    if (count <= this.#allowance) {
      this.#allowance -= count;
      return true;
    }
    return !(await this.#haveRecords(number));
  }

  /** Whether the turn of the page came since the latest complete pass began. */
  #isTurnOf(number: number): boolean {
    if (this.#fromMs === undefined) return false;
    const offset = (number * TURN_SPREAD) % this.#everyMs;
    const turnAt = (ms: number) => Math.floor((ms - offset) / this.#everyMs);
    return turnAt(this.#fromMs) < turnAt(this.#toMs);
  }

  async #haveRecords(number: number): Promise<boolean> {
    const { client, keys, isCluster } = this.#redis;
    const entries = await readEntries(this.#redis, number);
    if (!(entries instanceof Map)) return false;
    const records = [...entries.keys()].map(keys.droplet);
    if (records.length === 0) return true;
    if (!isCluster) return (await client.exists(...records)) === records.length;
    const exist = await Promise.all(records.map((record) => client.exists(record)));
    return exist.every((exists) => exists === 1);
  }
}
