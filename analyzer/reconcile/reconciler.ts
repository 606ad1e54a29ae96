import type { Droplet } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { readHolds } from '../../common/redis/holds.ts';
import { readWithDeas } from '../../common/redis/readers.ts';
import type { Logger } from '../../common/runtime/log.ts';
import { type DecisionResult, decide } from '../decide/decide.ts';
import { isQuiet } from '../decide/decision.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import {
  isHeldByFreshness,
  isLeftToTick,
  isScheduledInTime,
  missSummary,
  unmarkedDeas,
} from '../tick/audit-misses.ts';
import type { Enqueuer } from './enqueue.ts';
import type { Evaluation } from './evaluation.ts';
import { postpone } from './postpone.ts';
import { store } from './store.ts';
import { type Causes, traceReconciles } from './traces.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: AnalyzerMetrics;
  policy: PolicySettings;
  enqueuer: Enqueuer;
}

/** After so many conflicts in a row a droplet is left to the next tick: it is due, and others wait. */
const TRIES = 8;

/** How much one look handles at once: bounds the pipeline and the memory. */
const BATCH = 500;

/**
 * Looks at droplets: read, decide, store, enqueue.
 *
 * Storing succeeds only on the record that was decided on (its revision), so however many analyzers look at
 * a droplet at once, each decision is made once and on the truth. Jobs are enqueued after that; should this
 * process die in between, the record says that a start is on its way, and the look that is due for it then
 * makes sure of the job.
 */
export class Reconciler {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Looks at droplets that are due or had an event; resolves when every effect is stored and enqueued.
   *
   * @param causes the traces that lead here, if there are some
   */
  async reconcile(ids: readonly string[], causes?: Causes): Promise<void> {
    for (let at = 0; at < ids.length; at += BATCH) await this.#lookAtBatch(ids.slice(at, at + BATCH), causes);
  }

  /** Looks at droplets of a slice that are not due: writes nothing if, as it should be, there is nothing to do. */
  async audit(slice: number, ids: readonly string[], seen: Seen): Promise<void> {
    const { metrics, log, policy, redis } = this.#options;
    const found: Look[] = [];
    for (let at = 0; at < ids.length; at += BATCH) {
      const evaluations = await this.#decide(ids.slice(at, at + BATCH));
      for (const { droplet, decided, deas, nowMs } of evaluations) {
        metrics.auditReconciles.inc();
        seen(droplet, decided, deas, nowMs);
        if (!isQuiet(decided)) found.push({ droplet, decided, nowMs });
      }
    }
    // Twice, as another analyzer may have taken one up between our reading its record and its due time.
    const suspected = await this.#notDue(slice, found);
    const again = (await this.#decide(suspected)).filter(({ decided }) => !isQuiet(decided));
    const notDue = new Set(await this.#notDue(slice, again));
    const late = again.filter(({ droplet }) => notDue.has(droplet.id));
    const unmarked = await unmarkedDeas(redis, late, policy);
    const missed = late.filter((looked) => !isLeftToTick(looked, unmarked));
    if (missed.length > 0) {
      metrics.auditMisses.inc(missed.length);
      log.warn(
        { event: 'audit_miss', droplets: missed.slice(0, 10).map(missSummary), count: missed.length },
        'the audit found droplets that should have been due',
      );
    }
    // While nobody listens all of the fleet is silent: what is held for that is told by the hold, and touched when it is over.
    await this.reconcile(
      late.filter(({ decided }) => !isHeldByFreshness(decided)).map(({ droplet }) => droplet.id),
    );
  }

  async #lookAtBatch(ids: readonly string[], causes: Causes | undefined): Promise<void> {
    let left = ids;
    for (let attempt = 0; attempt < TRIES && left.length > 0; attempt++) {
      if (attempt > 0) this.#options.metrics.conflicts.inc(left.length);
      left = await this.#lookOnce(left, causes);
    }
  }

  /** @returns the droplets whose record changed between reading and storing */
  async #lookOnce(ids: readonly string[], causes: Causes | undefined): Promise<string[]> {
    const { enqueuer, metrics, policy, redis } = this.#options;
    const beganMs = Date.now();
    const evaluations = await this.#decide(ids);
    metrics.reconciles.inc(evaluations.length);
    const stored = await store(evaluations, this.#options);
    const done = evaluations.filter((look) => stored.get(look) === 'stored');
    for (const { decided } of done) {
      for (const decision of decided.decisions) {
        metrics.decisions.inc({ kind: decision.kind, reason: 'reason' in decision ? decision.reason : '' });
      }
    }
    // What a heartbeat tells is decided at once, or when an instance that it does not list any more had its time.
    const heardWithinMs = 2 * policy.dropletLostMs;
    await traceReconciles(done, { causes, heardWithinMs, beganMs }, (traces) =>
      enqueuer.enqueue(done, traces),
    );
    await postpone(done, redis);
    return evaluations.filter((look) => stored.get(look) === 'changed').map(({ droplet }) => droplet.id);
  }

  async #decide(ids: readonly string[]): Promise<Evaluation[]> {
    const { redis, clock, policy, metrics, log } = this.#options;
    const [{ droplets: records, deas, nowMs }, holds] = await Promise.all([
      readWithDeas(redis, clock, ids),
      readHolds(redis, clock, policy),
    ]);
    const droplets: Droplet[] = [];
    const gone: string[] = [];
    records.forEach((record, at) => {
      if (record instanceof Error) {
        metrics.unreadable.inc();
        log.error(
          { event: 'unreadable_record', droplet: ids[at], err: record },
          'this droplet is left alone until its record can be read',
        );
      } else if (record === undefined) {
        gone.push(ids[at] as string);
      } else {
        droplets.push(record);
      }
    });
    await Promise.all(
      gone.flatMap((id) => {
        const slice = redis.keys.sliceOf(id);
        return [
          redis.client.zrem(redis.keys.due(slice), id),
          redis.client.zrem(redis.keys.troubled(slice), id),
        ];
      }),
    );
    return droplets.map((droplet) => ({
      droplet,
      deas,
      nowMs,
      decided: decide(droplet, deas, holds, nowMs, policy),
    }));
  }

  /** Those that something is to be done about, or that must be looked at later, and that no due list has in time. */
  async #notDue(slice: number, evaluations: readonly Look[]): Promise<string[]> {
    if (evaluations.length === 0) return [];
    const { client, keys } = this.#options.redis;
    const due = await client.zmscore(keys.due(slice), ...evaluations.map(({ droplet }) => droplet.id));
    const { policy } = this.#options;
    return evaluations
      .filter((look, at) => !isScheduledInTime(look, due[at], policy))
      .map(({ droplet }) => droplet.id);
  }
}

/** Is told of each droplet that the audit looks at; `deas` are at least those of its instances. */
type Seen = (droplet: Droplet, decided: DecisionResult, deas: Deas, nowMs: number) => void;

/** One droplet as it was read, and what follows. */
export interface Look {
  droplet: Droplet;
  nowMs: number;
  decided: DecisionResult;
}
