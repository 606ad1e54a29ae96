import type { PolicySettings } from '../../../common/policy/settings.ts';
import { markFullSyncRequested } from '../../../common/queues/sync-request.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { AUDIT_DURATION } from '../../../common/redis/fleet/summary.ts';
import { countIds, readIds } from '../../../common/redis/records/readers.ts';
import { reportRepair } from '../../../common/redis/records/repairs.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../../common/runtime/log/log.ts';
import { isQuiet } from '../../decide/decision.ts';
import type { AnalyzerMetrics } from '../../metrics.ts';
import type { Evaluation } from '../../reconcile/evaluation.ts';
import { BATCH, type Reconciler } from '../../reconcile/reconciler.ts';
import { noteLostRecords } from '../repairs/lost-records.ts';
import {
  isHeldByFreshness,
  isLeftToTick,
  isScheduledInTime,
  missSummary,
  unmarkedDeas,
} from './audit-misses.ts';
import { Totals } from './totals.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: Pick<AnalyzerMetrics, 'auditReconciles' | 'auditMisses' | 'repairs'>;
  policy: PolicySettings;
  reconciler: Pick<Reconciler, 'evaluate' | 'reconcile'>;
  /** Most droplets a second that all audits of the deployment evaluate together. */
  auditRate: number;
}

/** The first round is this much faster, because until it ends the totals of the fleet lack the slices not counted yet. */
const FIRST_ROUND_FACTOR = 10;

/** Misses that one log entry describes. */
const MAX_LOGGED_MISSES = 10;

/**
 * The audit: evaluates every droplet of the fleet in turn, due or not, to prove that the due lists miss nothing. On the
 * way it counts the totals of the fleet.
 *
 * A round takes `droplets_analysis`, or longer if that would exceed `audit_rate`. The size of the next slice stands for
 * all of them, because ids are spread evenly. The position is kept in Redis, so the tick of any analyzer continues it.
 */
export class Audit {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  /** Droplets of the slice that was audited last, which stands for the next ones: ids are spread evenly. */
  #perSlice = BATCH;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** The slices whose turn it is now. */
  async nextSlices(): Promise<number[]> {
    const { redis, clock, policy, auditRate } = this.#options;
    const { client, keys } = redis;
    const nowMs = clock.nowMs();
    const [slice, at] = await client.hmget(keys.scan, 'audit_slice', 'audit_at');
    // What somebody edited so that it is no number, or is a time to come, counts as missing.
    const position = (countOf(slice) ?? 0) % keys.slices;
    const beganMs = countOf(at);
    const sinceMs = beganMs === undefined || beganMs > nowMs ? policy.dropletsAnalysisMs : nowMs - beganMs;
    const byTime = (keys.slices * sinceMs) / policy.dropletsAnalysisMs;
    const [perSlice, isCounted] = await Promise.all([
      countIds(redis, position),
      client.exists(keys.summary(position)),
    ]);
    const rate = isCounted === 1 ? auditRate : FIRST_ROUND_FACTOR * auditRate;
    const byRate = perSlice === 0 ? byTime : (rate * sinceMs) / 1000 / perSlice;
    const due = Math.min(byTime, byRate);
    const count = Math.min(keys.slices, Math.floor(due));
    if (count < 1) return [];
    // The rest of the time counts for the next turn, unless it was enough for a whole round.
    const leftMs = count === keys.slices ? 0 : Math.round((sinceMs * (due - count)) / due);
    await client.hset(keys.scan, 'audit_slice', (position + count) % keys.slices, 'audit_at', nowMs - leftMs);
    return Array.from({ length: count }, (_, n) => (position + n) % keys.slices).sort((a, b) => a - b);
  }

  /**
   * Audits the first of these slices and stores their totals; as many together as make a batch, because in a small fleet the round
   * trips of each slice would be most of the cost.
   *
   * @returns how many slices were audited
   */
  async auditNext(slices: readonly number[]): Promise<number> {
    const { redis } = this.#options;
    const { client, keys } = redis;
    const begin = performance.now();
    const together = slices.slice(0, Math.max(1, Math.floor(BATCH / Math.max(1, this.#perSlice))));
    const ids = await Promise.all(together.map((slice) => readIds(redis, slice)));
    const totals = await this.#audit(together, ids.flat());
    this.#perSlice = Math.max(...ids.map(({ length }) => length));
    const durationMs = Math.round((10 * (performance.now() - begin)) / together.length) / 10;
    await Promise.all(
      together.map((slice, at) =>
        client.hset(keys.summary(slice), {
          ...(totals[at] as Totals).toFields(),
          [AUDIT_DURATION]: durationMs,
        }),
      ),
    );
    return together.length;
  }

  /**
   * Evaluates the droplets of some slices, handles those that no due list has in time, and counts the totals.
   *
   * @returns the totals of each slice
   */
  async #audit(slices: readonly number[], ids: readonly string[]): Promise<Totals[]> {
    const { redis, reconciler, metrics, policy } = this.#options;
    const totals = slices.map(() => new Totals(policy));
    const totalsOf = (id: string) =>
      totals[slices.length === 1 ? 0 : slices.indexOf(redis.keys.sliceOf(id))] as Totals;
    const busy: Evaluation[] = [];
    const unread: string[] = [];
    let isFullPassNeeded = false;
    for (let at = 0; at < ids.length; at += BATCH) {
      const batch = ids.slice(at, at + BATCH);
      const evaluations = await reconciler.evaluate(batch);
      if (evaluations.length < batch.length) {
        const read = new Set(evaluations.map(({ droplet }) => droplet.id));
        unread.push(...batch.filter((id) => !read.has(id)));
      }
      for (const evaluation of evaluations) {
        metrics.auditReconciles.inc();
        totalsOf(evaluation.droplet.id).add(evaluation);
        if (evaluation.decided.isFullPassNeeded) isFullPassNeeded = true;
        if (!isQuiet(evaluation.decided)) busy.push(evaluation);
      }
    }
    await this.#handleUnscheduled(await this.#unscheduled(busy));
    await this.#handleLost(unread, isFullPassNeeded);
    return totals;
  }

  /** Makes the next pass a full one where a record is lost, or may be all that is left of a listed droplet. */
  async #handleLost(unread: readonly string[], isFullPassNeeded: boolean): Promise<void> {
    if (unread.length === 0 && !isFullPassNeeded) return;
    const { redis, clock, metrics, policy } = this.#options;
    const lost = await noteLostRecords(redis, clock, unread);
    reportRepair({ repairs: metrics.repairs, limited: this.#limited }, 'index', lost.removed);
    if (isFullPassNeeded || lost.isFullPassNeeded) await markFullSyncRequested(redis, clock, policy);
  }

  async #handleUnscheduled(suspected: readonly Evaluation[]): Promise<void> {
    if (suspected.length === 0) return;
    const { redis, metrics, log, reconciler } = this.#options;
    // Checked twice: another analyzer may have reconciled a droplet between the reads of its record and of its due time.
    const again = await reconciler.evaluate(suspected.map(({ droplet }) => droplet.id));
    const busy = again.filter(({ decided }) => !isQuiet(decided));
    const unscheduled = await this.#unscheduled(busy);
    const unmarked = await unmarkedDeas(redis, unscheduled);
    const missed = unscheduled.filter((evaluation) => !isLeftToTick(evaluation, unmarked));
    if (missed.length > 0) {
      metrics.auditMisses.inc(missed.length);
      metrics.repairs.inc({ what: 'due' }, missed.length);
      const droplets = missed.slice(0, MAX_LOGGED_MISSES).map(missSummary);
      log.warn(
        { event: 'audit_miss', droplets, count: missed.length },
        'audit miss: droplets that needed a reconcile were not due',
      );
    }
    // While actual_not_fresh is on, the whole fleet may be silent: the hold is shown, and its end makes the droplets due.
    await reconciler.reconcile(
      unscheduled.filter(({ decided }) => !isHeldByFreshness(decided)).map(({ droplet }) => droplet.id),
    );
  }

  /** Those that no due list has in time. */
  async #unscheduled(evaluations: readonly Evaluation[]): Promise<Evaluation[]> {
    const { redis, policy } = this.#options;
    const { client, keys } = redis;
    const bySlice = new Map<number, Evaluation[]>();
    for (const evaluation of evaluations) {
      const slice = keys.sliceOf(evaluation.droplet.id);
      const members = bySlice.get(slice) ?? [];
      bySlice.set(slice, members);
      members.push(evaluation);
    }
    const unscheduled = await Promise.all(
      [...bySlice].map(async ([slice, members]) => {
        const due = await client.zmscore(keys.due(slice), ...members.map(({ droplet }) => droplet.id));
        return members.filter((evaluation, at) => !isScheduledInTime(evaluation, due[at], policy));
      }),
    );
    return unscheduled.flat();
  }
}

/** A number as this program writes it; undefined for anything else. */
function countOf(text: string | null | undefined): number | undefined {
  return text != null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
