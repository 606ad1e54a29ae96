import type { Droplet } from '../../common/model/droplet.ts';
import { lostBefore } from '../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { heartbeatCauseMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { restoreHeartbeatTimes } from '../../common/redis/fleet/heartbeat-times.ts';
import { readHolds } from '../../common/redis/fleet/holds/holds.ts';
import { readWithDeas } from '../../common/redis/records/readers.ts';
import { UnreadableRecord } from '../../common/redis/records/record-error.ts';
import { reportRepair } from '../../common/redis/records/repairs.ts';
import { removeUnreadable } from '../../common/redis/scripts/droplets/remove-unreadable.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log/log.ts';
import { decide } from '../decide/decide.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import type { Enqueuer } from './enqueue.ts';
import type { Evaluation } from './evaluation.ts';
import { postpone } from './postpone.ts';
import { store } from './store/store.ts';
import { type Causes, traceReconciles } from './traces.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: AnalyzerMetrics;
  policy: PolicySettings;
  enqueuer: Enqueuer;
}

/** After this many conflicts in a row a droplet is left to the next tick: it stays due, and other droplets wait. */
const MAX_ATTEMPTS = 8;

/** Droplets that are evaluated at once: bounds the pipeline and the memory. */
export const BATCH = 500;

/**
 * Reconciles droplets: read, decide, store, enqueue.
 *
 * A result is stored only if the record still has the revision that was read. So each decision is made once and on the
 * current record, however many analyzers reconcile a droplet at once.
 *
 * Jobs are enqueued after the decision is stored. If this process dies in between, the record has a pending start and
 * the droplet is due again soon; that reconcile then verifies the job.
 */
export class Reconciler {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /**
   * Reconciles droplets that are due or have an event. Resolves when all results are stored and enqueued.
   *
   * @param causes the traces of the events, if there are any
   */
  async reconcile(ids: readonly string[], causes?: Causes): Promise<void> {
    for (let at = 0; at < ids.length; at += BATCH) {
      await this.#reconcileBatch(ids.slice(at, at + BATCH), causes);
    }
  }

  async #reconcileBatch(ids: readonly string[], causes: Causes | undefined): Promise<void> {
    let left = ids;
    for (let attempt = 0; attempt < MAX_ATTEMPTS && left.length > 0; attempt++) {
      if (attempt > 0) this.#options.metrics.conflicts.inc(left.length);
      left = await this.#attempt(left, causes);
    }
  }

  /** Returns the droplets whose record changed between reading and storing. */
  async #attempt(ids: readonly string[], causes: Causes | undefined): Promise<string[]> {
    const { enqueuer, metrics, policy, redis } = this.#options;
    const beganMs = Date.now();
    const evaluations = await this.evaluate(ids);
    metrics.reconciles.inc(evaluations.length);
    const results = await store(evaluations, this.#options);
    const stored = evaluations.filter((evaluation) => results.get(evaluation) === 'stored');
    for (const { decided } of stored) {
      for (const decision of decided.decisions) {
        metrics.decisions.inc({ kind: decision.kind, reason: 'reason' in decision ? decision.reason : '' });
      }
    }
    // A heartbeat leads to a decision at once, or droplet_lost after it no longer listed an instance.
    const heartbeatWithinMs = heartbeatCauseMs(policy);
    await traceReconciles(stored, { causes, heartbeatWithinMs, beganMs }, (traces) =>
      enqueuer.enqueue(stored, traces),
    );
    await postpone(stored, redis);
    return evaluations
      .filter((evaluation) => results.get(evaluation) === 'changed')
      .map(({ droplet }) => droplet.id);
  }

  /**
   * Reads droplets and decides about them; stores no decision. Droplets without a record are left out and removed from the due and
   * troubled lists. So are those with a record that cannot be read: it is logged and removed, and built again like a lost one.
   */
  async evaluate(ids: readonly string[]): Promise<Evaluation[]> {
    const { redis, clock, policy, metrics, log } = this.#options;
    const [reads, holds] = await Promise.all([
      readWithDeas(redis, clock, ids),
      readHolds(redis, clock, policy),
    ]);
    const { droplets: records, deas, nowMs } = reads;
    const restored = await restoreHeartbeatTimes(redis, reads, policy);
    reportRepair({ repairs: metrics.repairs, limited: this.#limited }, 'heartbeat_time', restored);
    const droplets: Droplet[] = [];
    const others: Promise<unknown>[] = [];
    records.forEach((record, at) => {
      const id = ids[at] as string;
      if (record instanceof UnreadableRecord) {
        metrics.unreadable.inc();
        log.error(
          { event: 'unreadable_record', droplet: id, err: record },
          'droplet record unreadable: it is removed and built again; until then nothing is decided about this droplet',
        );
        others.push(removeUnreadable(redis, id, record));
      } else if (record === undefined) {
        const slice = redis.keys.sliceOf(id);
        others.push(
          redis.client.zrem(redis.keys.due(slice), id),
          redis.client.zrem(redis.keys.troubled(slice), id),
        );
      } else {
        droplets.push(record);
      }
    });
    await Promise.all(others);
    const lostBeforeMs = lostBefore(nowMs, holds.listeningGaps, policy);
    return droplets.map((droplet) => ({
      droplet,
      deas,
      nowMs,
      lostBeforeMs,
      decided: decide(droplet, deas, holds, nowMs, policy),
    }));
  }
}
