import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { ingestorSubject, SUBJECTS } from '../../common/messages/subjects.ts';
import type { Bus } from '../../common/nats/bus.ts';
import { watermarkGapMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import { problemLevel } from '../../common/redis/connection-error.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { pairsOf } from '../../common/redis/pairs.ts';
import { publishWatermark } from '../../common/redis/scripts/fleet/publish-watermark.ts';
import type { Lifecycle } from '../../common/runtime/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log.ts';
import { PeriodicTask } from '../../common/runtime/periodic-task.ts';
import { singleFlight } from '../../common/runtime/single-flight.ts';

interface Options {
  /** Identifies this ingestor in Redis and in its NATS subject. */
  id: string;
  heartbeatBus: Bus;
  /** The connection for all other messages. */
  messageBus: Pick<Bus, 'flush'>;
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  dropletLostMs: number;
  /** Gaps are kept until there was that much listening time after them (ms). */
  keepGapsMs: number;
  /** Age of the oldest heartbeat that is not stored yet (ms); 0 if there is none. */
  backlogAgeMs(): number;
}

/** A DEA counts as lost once every watermark has passed its time-out: at most this much later (ms). */
const PUBLISH_EVERY_MS = 250;

/**
 * Publishes this ingestor's watermark and removes ingestors that are gone (policy: hold `actual_not_fresh`).
 *
 * Every 250 ms, after a successful NATS round trip, each ingestor writes a watermark to Redis: every heartbeat delivered
 * before this time is stored. A DEA counts as silent only up to the lowest watermark of all ingestors. An ingestor whose
 * backlog is older than a gap writes none, because it holds heartbeats of DEAs that appear silent.
 *
 * An ingestor whose watermark stands still may still be subscribed: a stopped process swallows its share of the
 * heartbeats. That counts as a gap, unless NATS soon reports that its subject has no subscriber. Then it was killed, lost
 * only what it held in memory, and is removed from the list of ingestors. Redis can lose that list with its data, so each
 * ingestor remembers the others.
 *
 * A heartbeat can also be lost without a gap: when all ingestors restart, when one is killed, or when one loses NATS. Its
 * DEA then times out up to ten seconds before all others. If all DEAs were cut off at that moment, this one would be taken
 * for dead before `mass_loss` finds the others late. So after every possible loss all DEAs are asked for a heartbeat. A
 * DEA that is cut off at that moment cannot answer. So Redis keeps the time of the possible loss (`missed`), and a DEA
 * whose last heartbeat is older may have sent one more.
 */
export class IngestWatermark {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  /** When `publishWatermark` last ran (ms, monotonic clock). It ages beyond a gap only while this process is stopped. */
  #lastRunMs = performance.now();
  #catchingUp = false;
  readonly #publishOnce = singleFlight(() =>
    this.#publish().catch((error: unknown) => {
      // The next run comes soon.
      this.#limited[problemLevel(error)](
        'not written',
        { event: 'watermark_not_written', err: error },
        'watermark not written',
      );
    }),
  );
  #hasPublished = false;
  /** How often the heartbeat connection was lost and restored; and how many of these times Redis has recorded. */
  #reconnects = 0;
  #recordedReconnects = 0;
  /** Heartbeats may be lost, and the DEAs have not been asked for new ones yet. */
  #mustRequestHeartbeats = false;
  /** The other ingestors and their watermarks (ms), as last read from the list. */
  #others: ReadonlyMap<string, number> = new Map();

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** A longer time without a watermark is a gap (ms). */
  get #gapMs(): number {
    return watermarkGapMs(this.#options);
  }

  /** Publishes the first watermark, then one every 250 ms until the process stops. */
  async start(): Promise<void> {
    const { heartbeatBus, id, lifecycle, redis } = this.#options;
    const subscription = heartbeatBus.subscribe(ingestorSubject(id), {}, (message) => message.respond());
    // Even a short disconnection loses heartbeats on their way here, above all when NATS cut off a slow consumer.
    heartbeatBus.onRestored(() => {
      this.#reconnects++;
    });
    await this.publishWatermark();
    // The task ends at once: each call must take note of the time, also during a run that waits for Redis.
    const task = new PeriodicTask(Math.min(PUBLISH_EVERY_MS, this.#gapMs / 8), () => {
      void this.publishWatermark();
    });
    lifecycle.onStop('watermark', async () => {
      task.cancel();
      await this.#publishOnce.idle(); // a later write would put this ingestor back on the list
      // Before the list: another ingestor puts one back that is missing there but still answers.
      subscription.unsubscribe();
      if (heartbeatBus.connected()) await heartbeatBus.flush().catch(() => undefined); // a lost connection ends it too
      await redis.client.zrem(redis.keys.watermarks, id);
    });
  }

  /**
   * Whether a heartbeat that is delivered now counts. After this process was stopped for longer than a gap it does not: it
   * may have waited all that time, and a heartbeat has no time of its own. A round trip to NATS on both connections
   * ends this, because nothing older can arrive after it.
   */
  isFresh(): boolean {
    if (!this.#catchingUp && performance.now() - this.#lastRunMs > this.#gapMs) {
      this.#catchingUp = true;
      this.#options.log.warn(
        { event: 'ingestor_stalled' },
        'ingestor stalled: this process was stopped; heartbeats that waited are dropped',
      );
      void this.#catchUp();
    }
    return !this.#catchingUp;
  }

  /** How long a message that is delivered now may have waited in this process (ms), at most `droplet_lost`. */
  get stallMs(): number {
    return this.isFresh() ? 0 : Math.min(performance.now() - this.#lastRunMs, this.#options.dropletLostMs);
  }

  async #catchUp(): Promise<void> {
    const { heartbeatBus, messageBus } = this.#options;
    // A connection that fails here is lost, and everything that waited in it with it.
    await Promise.allSettled([heartbeatBus.flush(), messageBus.flush()]);
    this.#lastRunMs = performance.now();
    this.#catchingUp = false;
  }

  /** Publishes a watermark, unless NATS or Redis fails or the backlog is too old. Concurrent calls share one run. */
  publishWatermark(): Promise<void> {
    if (this.isFresh()) this.#lastRunMs = performance.now();
    return this.#publishOnce();
  }

  async #publish(): Promise<void> {
    const { heartbeatBus, redis, clock, id, log } = this.#options;
    if (!heartbeatBus.connected()) return;
    const flushedMs = clock.nowMs(); // the server delivers what it has now before it answers the flush
    await heartbeatBus.flush();
    const nowMs = clock.nowMs();
    const backlogAgeMs = this.#options.backlogAgeMs();
    if (backlogAgeMs > this.#gapMs) {
      this.#limited.warn(
        'backlog',
        { event: 'heartbeat_backlog', backlogAgeMs },
        'heartbeat backlog too old: no DEA counts as lost until this ingestor has caught up; start more ingestors if this persists',
      );
      return;
    }
    // The first run checks all others, because earlier ingestors may just have been killed.
    const askBeforeMs = this.#hasPublished ? nowMs - this.#gapMs / 3 : Number.POSITIVE_INFINITY;
    const killed = await this.#findKilled(askBeforeMs);
    const watermarkMs = Math.min(flushedMs, nowMs - backlogAgeMs);
    const reconnects = this.#reconnects;
    const hasReconnected = reconnects > this.#recordedReconnects;
    const { mayBeLost, removed } = await publishWatermark(redis, {
      ingestor: id,
      nowMs,
      watermarkMs,
      gapMs: this.#gapMs,
      silenceMs: this.#gapMs / 2,
      keepGapsMs: this.#options.keepGapsMs,
      generation: 0,
      ...{ host: hostname(), pid: process.pid },
      mayHaveLost: hasReconnected,
      mayTakeOver: false,
      gone: killed,
    });
    this.#recordedReconnects = reconnects;
    for (const ingestor of removed)
      log.info({ event: 'ingestor_removed', ingestor }, 'ingestor removed: it no longer answers');
    this.#hasPublished = true;
    if (mayBeLost) this.#mustRequestHeartbeats = true;
    if (!this.#mustRequestHeartbeats) return;
    heartbeatBus.publish(SUBJECTS.healthmanagerStart, '{}');
    this.#mustRequestHeartbeats = false;
    log.info({ event: 'heartbeats_requested' }, 'heartbeats requested of all DEAs: some may be lost');
  }

  /**
   * Finds ingestors that no longer answer on their subject. One that answers but is missing from the list is added again,
   * because Redis lost it with its data: a stopped ingestor must not swallow its share unnoticed.
   *
   * @param beforeMs of the listed ingestors, those with an older watermark are asked
   * @returns the listed ingestors that do not answer
   */
  async #findKilled(beforeMs: number): Promise<string[]> {
    const { heartbeatBus, redis, id } = this.#options;
    const list = await redis.client.zrange(redis.keys.watermarks, '0', '-1', 'WITHSCORES');
    const listed = new Map(pairsOf(list).map(([other, atMs]) => [other, Number(atMs)]));
    const others = new Map([...this.#others, ...listed]);
    others.delete(id);
    const suspects = [...others].filter(([other, atMs]) => atMs <= beforeMs || !listed.has(other));
    const killed: string[] = [];
    await Promise.all(
      suspects.map(async ([other, atMs]) => {
        if (!(await heartbeatBus.answers(ingestorSubject(other)))) killed.push(other);
        else if (!listed.has(other)) await redis.client.zadd(redis.keys.watermarks, 'NX', atMs, other);
      }),
    );
    for (const other of killed) others.delete(other);
    this.#others = others;
    return killed.filter((other) => listed.has(other));
  }
}
