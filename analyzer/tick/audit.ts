import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { countIds, readIds } from '../../common/redis/readers.ts';
import { AUDIT_DURATION } from '../../common/redis/summary.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import { Totals } from './totals.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  reconciler: Reconciler;
  /** Droplets a second that the audits of the whole deployment look at at most. */
  auditRate: number;
}

/** The first round is so many times as fast: until it is over the totals of the fleet lack what was not counted yet. */
const UNCOUNTED_FASTER = 10;

/**
 * The slow audit: every droplet is looked at now and then, due or not, to prove that the due lists miss
 * nothing; what the fleet as a whole is like is counted on the way.
 *
 * A round takes `droplets_analysis`, or longer where that would be more than `audit_rate` droplets a second; how many there
 * are in a slice, the next one tells, as ids are spread evenly.
 * Where it stands is kept in Redis, so any analyzer's tick goes on with it.
 */
export class Audit {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The slices whose turn it is now. */
  async next(): Promise<number[]> {
    const { redis, clock, policy, auditRate } = this.#options;
    const { client, keys } = redis;
    const nowMs = clock.nowMs();
    const [slice, at] = await client.hmget(keys.scan, 'audit_slice', 'audit_at');
    const position = Number(slice ?? 0) % keys.slices;
    const sinceMs = at == null ? policy.dropletsAnalysisMs : nowMs - Number(at);
    const byTime = (keys.slices * sinceMs) / policy.dropletsAnalysisMs;
    const [perSlice, isCounted] = await Promise.all([
      countIds(redis, position),
      client.exists(keys.summary(position)),
    ]);
    const rate = isCounted === 1 ? auditRate : UNCOUNTED_FASTER * auditRate;
    const byRate = perSlice === 0 ? byTime : (rate * sinceMs) / 1000 / perSlice;
    const due = Math.min(byTime, byRate);
    const count = Math.min(keys.slices, Math.floor(due));
    if (count < 1) return [];
    // What is left of the time counts for the next turn, unless it was enough for a whole round.
    const leftMs = count === keys.slices ? 0 : Math.round((sinceMs * (due - count)) / due);
    await client.hset(keys.scan, 'audit_slice', (position + count) % keys.slices, 'audit_at', nowMs - leftMs);
    return Array.from({ length: count }, (_, n) => (position + n) % keys.slices).sort((a, b) => a - b);
  }

  /** Audits one slice and stores its totals. */
  async slice(slice: number): Promise<void> {
    const { redis, policy, reconciler } = this.#options;
    const { client, keys } = redis;
    const begin = performance.now();
    const ids = await readIds(redis, slice);
    const totals = new Totals(policy);
    await reconciler.audit(slice, ids, (droplet, decided, deas, nowMs) =>
      totals.add(droplet, decided, deas, nowMs),
    );
    const durationMs = Math.round(10 * (performance.now() - begin)) / 10;
    await client.hset(keys.summary(slice), { ...totals.toFields(), [AUDIT_DURATION]: durationMs });
  }
}
