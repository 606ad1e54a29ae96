import { hostname } from 'node:os';
import { type DeploymentName, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import { extendStreak, type Streak } from '../../../common/policy/fleet/freshness.ts';
import { watermarkGapMs } from '../../../common/policy/thresholds.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import { problemLevel } from '../../../common/redis/connection/connection-error.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import {
  publishWatermark,
  type Watermark,
  type WatermarkResult,
} from '../../../common/redis/scripts/fleet/publish-watermark.ts';
import type { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../../common/runtime/log/log.ts';
import { PeriodicTask } from '../../../common/runtime/tasks/periodic-task.ts';
import { singleFlight } from '../../../common/runtime/tasks/single-flight.ts';
import type { MessageIntake } from '../../message-intake.ts';
import { GroupMember } from './group-member.ts';
import { Peers } from './peers.ts';
import { StallDetector } from './stall.ts';

interface Options {
  /** Identifies this ingestor in Redis and in its NATS subject. */
  id: string;
  deployment: DeploymentName;
  heartbeatBus: Bus;
  /** The connection for all other messages. */
  messageBus: Pick<Bus, 'flush'>;
  /** The subscriptions of this ingestor in the queue group. */
  intake: Pick<MessageIntake, 'join' | 'leave' | 'generation' | 'isRefused'>;
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  dropletLostMs: number;
  /** Gaps are kept until there was that much listening time after them (ms). */
  keepGapsMs: number;
  /** Age of the oldest heartbeat that is not stored yet (ms); 0 if there is none. */
  backlogAgeMs(): number;
  /** How many heartbeats this ingestor has given up so far, because memory was used up. */
  lostHeartbeats(): number;
}

/** A DEA counts as lost once every watermark has passed its time-out: at most this much later (ms). */
const PUBLISH_EVERY_MS = 250;
/** Longest wait for an answer of another ingestor (ms). */
const MAX_ANSWER_MS = 1_000;

/**
 * Publishes this ingestor's watermark, removes ingestors that are gone, and takes over from those that stand still (policy: hold
 * `actual_not_fresh`).
 *
 * Every 250 ms, after a successful NATS round trip, each ingestor writes a watermark to Redis: every heartbeat delivered
 * before this time is stored. A DEA counts as silent only up to the lowest watermark of all ingestors. An ingestor whose
 * backlog is older than a gap writes none, because it holds heartbeats of DEAs that appear silent. One whose subscription to
 * heartbeats NATS refuses receives none, so it leaves the list.
 *
 * An ingestor that stands still may still be subscribed: a stopped process swallows its share of the heartbeats. NATS may soon
 * report that its subject has no subscriber. Then it was killed, lost only what it held in memory, and is removed from the
 * list. Otherwise, after a gap, the others take over: they join the queue group of a new generation, which the silent one
 * is not in. When it comes back it joins that generation before it publishes a watermark. It is on the list before it joins, since it
 * may stand still again before its first watermark. Redis can lose the list with its
 * data, so each ingestor remembers the others.
 *
 * A heartbeat can also be lost without a gap: when all ingestors restart, when one is killed, or when one loses NATS. Its
 * DEA then times out up to ten seconds before all others. If all DEAs were cut off at that moment, this one would be taken
 * for dead before `mass_loss` finds the others late. So after every possible loss all DEAs are asked for a heartbeat. A
 * DEA that is cut off at that moment cannot answer. So Redis keeps the time of the possible loss (`loss_possible_until`), and a
 * DEA whose last heartbeat is older may have sent one more.
 */
export class IngestWatermark {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #peers: Peers;
  readonly #member: GroupMember;
  readonly #stall: StallDetector;
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
  /** How often this ingestor was not subscribed for a while; and how many possible losses Redis has recorded. */
  #interruptions = 0;
  #recordedLosses = 0;
  /** Heartbeats may be lost, and the DEAs have not been asked for new ones yet. */
  #mustRequestHeartbeats = false;
  /** Since when, and until when, this ingestor has published without a pause. */
  #streak: Streak | undefined;
  #isRefused = false;

  constructor(options: Options) {
    const { id, deployment, heartbeatBus, messageBus, redis, log, dropletLostMs, intake } = options;
    this.#options = options;
    this.#limited = createRateLimit(log);
    this.#peers = new Peers({
      ...{ id, deployment, redis },
      bus: heartbeatBus,
      answerMs: Math.min(MAX_ANSWER_MS, this.#gapMs / 8),
      generation: () => intake.generation,
      canWrite: () => this.#member.canWrite,
    });
    this.#member = new GroupMember({ intake, peers: this.#peers, log, patienceMs: this.#gapMs / 4 });
    this.#stall = new StallDetector({
      ...{ log, dropletLostMs },
      buses: [heartbeatBus, messageBus],
      gapMs: this.#gapMs,
      joinNewest: async () => {
        if (intake.generation !== undefined) await this.#joinNewest();
      },
    });
  }

  /** A longer time without a watermark is a gap (ms). */
  get #gapMs(): number {
    return watermarkGapMs(this.#options);
  }

  /** Joins the queue group and publishes the first watermark, then one every 250 ms until the process stops. */
  async start(): Promise<void> {
    const { heartbeatBus, lifecycle } = this.#options;
    const stopAnswering = this.#peers.answer();
    // Even a short disconnection loses heartbeats on their way here, above all when NATS cut off a slow consumer.
    heartbeatBus.onRestored(() => {
      this.#interruptions++;
    });
    await this.publishWatermark();
    // The task ends at once: each call must take note of the time, also during a run that waits for Redis.
    const task = new PeriodicTask(Math.min(PUBLISH_EVERY_MS, this.#gapMs / 8), () => {
      void this.publishWatermark();
      if (heartbeatBus.connected()) void this.#member.leaveIfOnlyOthersCanWrite();
    });
    lifecycle.onStop('watermark', async () => {
      task.cancel();
      await this.#publishOnce.idle(); // a later write would put this ingestor back on the list
      // Before the list: another ingestor puts one back that is missing there but still answers.
      stopAnswering();
      if (heartbeatBus.connected()) await heartbeatBus.flush().catch(() => undefined); // a lost connection ends it too
      await this.#signOff();
    });
  }

  /** Whether a heartbeat that is delivered now counts: see `StallDetector`. */
  isFresh(): boolean {
    return this.#stall.isFresh();
  }

  /** How long a message that is delivered now may have waited in this process (ms), at most `droplet_lost`. */
  get stallMs(): number {
    return this.#stall.stallMs;
  }

  /** Publishes a watermark, unless NATS or Redis fails or the backlog is too old. Concurrent calls share one run. */
  publishWatermark(): Promise<void> {
    this.#stall.tick();
    return this.#publishOnce();
  }

  async #publish(): Promise<void> {
    const { heartbeatBus, intake, log } = this.#options;
    if (!heartbeatBus.connected()) return;
    if (intake.generation === undefined) await this.#joinNewest();
    for (;;) {
      const result = await this.#publishOnceJoined();
      if (result === undefined) return;
      for (const { ingestor, host, pid } of result.takenOver) {
        const fields = { event: 'ingestor_taken_over', ingestor, host, ingestorPid: pid };
        log.warn(fields, 'ingestor stands still: the others take over its share of the messages');
      }
      for (const ingestor of result.removed)
        log.info({ event: 'ingestor_removed', ingestor }, 'ingestor removed: it no longer answers');
      if (result.generation === intake.generation) {
        this.#requestHeartbeats(result.mayBeLost);
        return;
      }
      await this.#member.join(result.generation);
      // The process stops, so it joins no more.
      if (intake.generation !== result.generation) return;
    }
  }

  /** @returns undefined if there is nothing to publish now */
  async #publishOnceJoined(): Promise<WatermarkResult | undefined> {
    const { heartbeatBus, clock, intake } = this.#options;
    const flushedMs = clock.nowMs(); // the server delivers what it has now before it answers the flush
    await heartbeatBus.flush();
    this.#member.redisAsked();
    if (intake.isRefused) {
      if (!this.#isRefused) await this.#signOff();
      this.#isRefused = true;
      return undefined;
    }
    if (this.#isRefused) this.#interruptions++;
    this.#isRefused = false;
    const nowMs = clock.nowMs();
    const backlogAgeMs = this.#options.backlogAgeMs();
    const losses = this.#interruptions + this.#member.departures + this.#options.lostHeartbeats();
    if (backlogAgeMs > this.#gapMs) {
      this.#limited.warn(
        'backlog',
        { event: 'heartbeat_backlog', backlogAgeMs },
        'heartbeat backlog too old: no DEA counts as lost until this ingestor has caught up; start more ingestors if this persists',
      );
      return await this.#write({ nowMs });
    }
    // The first run checks all others, because earlier ingestors may just have been killed.
    const askBeforeMs = this.#hasPublished ? nowMs - this.#gapMs / 3 : Number.POSITIVE_INFINITY;
    const gone = await this.#peers.findKilled(askBeforeMs);
    const result = await this.#write({
      nowMs,
      watermarkMs: Math.min(flushedMs, nowMs - backlogAgeMs),
      mayHaveLost: losses > this.#recordedLosses,
      mayTakeOver: this.#hasPublishedSteadily(nowMs),
      gone,
    });
    if (result.sinceMs === undefined) return result;
    this.#recordedLosses = losses;
    this.#hasPublished = true;
    this.#streak = extendStreak(this.#streak, nowMs, this.#gapMs / 2);
    return result;
  }

  async #joinNewest(): Promise<void> {
    this.#member.redisAsked();
    const { generation } = await this.#write({ nowMs: this.#options.clock.nowMs(), generation: undefined });
    await this.#member.join(generation);
  }

  async #write(watermark: Partial<Watermark> & { nowMs: number }): Promise<WatermarkResult> {
    const { redis, id, keepGapsMs, intake } = this.#options;
    const result = await publishWatermark(redis, {
      ...{ ingestor: id, host: hostname(), pid: process.pid, keepGapsMs },
      ...{ gapMs: this.#gapMs, silenceMs: this.#gapMs / 2, generation: intake.generation },
      ...{ mayHaveLost: false, mayTakeOver: false, gone: [] },
      ...watermark,
    });
    this.#member.redisAnswered();
    return result;
  }

  async #signOff(): Promise<void> {
    const { redis, id } = this.#options;
    await Promise.all([
      redis.client.zrem(redis.keys.watermarks, id),
      redis.client.hdel(redis.keys.ingestors, id),
    ]);
    this.#member.redisAnswered();
  }

  #requestHeartbeats(mayBeLost: boolean): void {
    const { heartbeatBus, log } = this.#options;
    if (mayBeLost) this.#mustRequestHeartbeats = true;
    if (!this.#mustRequestHeartbeats) return;
    heartbeatBus.publish(SUBJECTS.healthmanagerStart, '{}');
    this.#mustRequestHeartbeats = false;
    log.info({ event: 'heartbeats_requested' }, 'heartbeats requested of all DEAs: some may be lost');
  }

  /** Only then are the others silent, and not this one: after an outage all of them need a moment to publish again. */
  #hasPublishedSteadily(nowMs: number): boolean {
    if (this.#streak === undefined || nowMs - this.#streak.untilMs > this.#gapMs / 2) return false;
    return nowMs - this.#streak.sinceMs >= this.#gapMs / 2;
  }
}
