import { performance } from 'node:perf_hooks';
import { ingestorSubject, SUBJECTS } from '../../common/messages/subjects.ts';
import type { Bus } from '../../common/nats/bus.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import type { Lifecycle } from '../../common/runtime/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log.ts';

interface Options {
  id: string;
  /** The connection that heartbeats come by. */
  bus: Bus;
  /** The one that all else comes by. */
  messages: Pick<Bus, 'flush'>;
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  dropletLostMs: number;
  /** For how long a heartbeat that came has been waiting to be stored (ms). */
  backlogAgeMs(): number;
}

/** A DEA counts as lost when the ingestors' words go that far: so a host's death is seen a quarter of a second later at most. */
const SAY_EVERY_MS = 250;

/**
 * How the deployment knows that it has been listening (policy: hold `actual_not_fresh`), and how far silence may count.
 *
 * Each ingestor says again and again in Redis that it listens, each time after a round trip to NATS proved it, and until
 * when all that it was given is stored: a DEA's silence counts only as far as every ingestor's word goes. One that is so far
 * behind that hosts look silent which it has heard does not listen. One that falls silent may still be subscribed: a stopped
 * process swallows its share of the heartbeats. So it counts as a gap, unless NATS says soon that nobody answers to its name
 * any more: then it was killed, lost no more than what it had in hand, and is taken off the list. The list may be lost with
 * Redis's data, so each ingestor remembers who was on it.
 *
 * Short of a gap, too, a heartbeat may be lost: when all ingestors are restarted, when one is killed, when one loses NATS.
 * Its DEA would be ten seconds ahead of all others on the way to being lost, and were all of them cut off now, it would be
 * taken for dead before `mass_loss` sees the others late. So whenever that may have happened all DEAs are asked for a
 * heartbeat. One that is cut off at that very moment cannot answer: so Redis says when it was (`missed`), and a DEA that was
 * last heard before may have spoken once more.
 */
export class IngestWatermark {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  /** On this process's own monotonic clock: only a process that was stopped falls behind by it. */
  #lastTurnMs = performance.now();
  #catchingUp = false;
  #saying: Promise<void> | undefined;
  #hasSaid = false;
  /** So often NATS was lost, and of so many times Redis has been told. */
  #timesAway = 0;
  #timesTold = 0;
  /** Something that DEAs said may be lost, and they have not been asked to say it again. */
  #mayHaveMissed = false;
  /** The other ingestors, and when each had its last word (ms), as the list said when it was last read. */
  #others: ReadonlyMap<string, number> = new Map();

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** The longest silence that is no gap: a third of `droplet_lost`. */
  get #gapMs(): number {
    return this.#options.dropletLostMs / 3;
  }

  /** Begins to listen: says so at once, then again and again until the process stops. */
  async start(): Promise<void> {
    const { bus, id, lifecycle, redis } = this.#options;
    const own = bus.subscribe(ingestorSubject(id), {}, (message) => message.respond());
    // However short it was: what was on its way to this ingestor is lost, most of all when NATS cut it off for being slow.
    bus.onRestored(() => {
      this.#timesAway++;
    });
    await this.publishWatermark();
    const timer = setInterval(() => this.publishWatermark(), Math.min(SAY_EVERY_MS, this.#gapMs / 8));
    lifecycle.onStop('listening', async () => {
      clearInterval(timer);
      await this.#saying; // or it would put this ingestor back on the list
      // First: whoever misses it on the list and still gets an answer would put it back.
      own.unsubscribe();
      if (bus.connected()) await bus.flush().catch(() => undefined); // lost meanwhile, and the subscription with it
      await redis.client.zrem(redis.keys.ingestors, id);
    });
  }

  /**
   * Whether a heartbeat that is handed over now is news. After this process was stopped for longer than a gap
   * it is not: it may have waited all that time, and nothing in a heartbeat tells its age. It is again after a
   * round trip to NATS, behind which nothing old is left.
   */
  isFresh(): boolean {
    if (!this.#catchingUp && performance.now() - this.#lastTurnMs > this.#gapMs) {
      this.#catchingUp = true;
      this.#options.log.warn(
        { event: 'ingestor_stalled' },
        'this process was stopped for a while: heartbeats that waited are not used',
      );
      void this.#catchUp();
    }
    return !this.#catchingUp;
  }

  /** How long a message that is handed over now may have waited (ms); no more than `droplet_lost` is told. */
  get stallMs(): number {
    return this.isFresh() ? 0 : Math.min(performance.now() - this.#lastTurnMs, this.#options.dropletLostMs);
  }

  async #catchUp(): Promise<void> {
    const { bus, messages } = this.#options;
    // One that was lost meanwhile took with it all that waited in it.
    await Promise.allSettled([bus.flush(), messages.flush()]);
    this.#lastTurnMs = performance.now();
    this.#catchingUp = false;
  }

  /** Says that this ingestor listens, if it does. While it is at it already, that is waited for. */
  publishWatermark(): Promise<void> {
    if (this.isFresh()) this.#lastTurnMs = performance.now();
    this.#saying ??= this.#say()
      .catch((error: unknown) => {
        // Said again in a moment; the connections tell themselves that they are lost.
        this.#options.log.debug(
          { event: 'watermark_not_written', err: error },
          'could not say that this ingestor listens',
        );
      })
      .finally(() => {
        this.#saying = undefined;
      });
    return this.#saying;
  }

  async #say(): Promise<void> {
    const { bus, redis, clock, id, log } = this.#options;
    if (!bus.connected()) return;
    const heardAllMs = clock.nowMs(); // what is at NATS by now comes before its answer
    await bus.flush();
    const nowMs = clock.nowMs();
    const waitedMs = this.#options.backlogAgeMs();
    if (waitedMs > this.#gapMs) {
      this.#limited.warn(
        'behind',
        { event: 'heartbeat_backlog', waitedMs },
        'heartbeats wait too long to be stored: silence is not taken for loss until this ingestor has caught up; start more ingestors if it stays so',
      );
      return;
    }
    const { keys } = redis;
    // Who begins asks after everybody: those who listened before may just have been killed.
    const sinceMs = this.#hasSaid ? nowMs - this.#gapMs / 3 : Number.POSITIVE_INFINITY;
    const silent = await this.#goneOf(sinceMs);
    const word = Math.min(heardAllMs, nowMs - waitedMs);
    const timesAway = this.#timesAway;
    const wasAway = timesAway > this.#timesTold;
    const [, missed, ...gone] = await redis.scripts.publishWatermark(
      [keys.listening, keys.ingestors],
      [nowMs, id, this.#gapMs, this.#gapMs / 2, word, wasAway ? '1' : '', ...silent],
    );
    this.#timesTold = timesAway;
    for (const ingestor of gone)
      log.info({ event: 'ingestor_removed', ingestor }, 'another ingestor is gone');
    this.#hasSaid = true;
    if (missed === '1') this.#mayHaveMissed = true;
    if (!this.#mayHaveMissed) return;
    bus.publish(SUBJECTS.healthmanagerStart, '{}');
    this.#mayHaveMissed = false;
    log.info(
      { event: 'heartbeats_requested' },
      'heartbeats may have been missed: all DEAs are asked for one',
    );
  }

  /**
   * Asks after other ingestors. Those that are not on the list any more, and answer, are put on it again: Redis lost them with
   * its data, and one that is stopped would swallow its share with nobody knowing.
   *
   * @param sinceMs of those on the list the ones are asked that had their last word before
   * @returns those on the list that NATS says are gone
   */
  async #goneOf(sinceMs: number): Promise<string[]> {
    const { bus, redis, id } = this.#options;
    const list = await redis.client.zrange(redis.keys.ingestors, '0', '-1', 'WITHSCORES');
    const listed = new Map<string, number>();
    for (let at = 0; at + 1 < list.length; at += 2) listed.set(list[at] as string, Number(list[at + 1]));
    const others = new Map([...this.#others, ...listed]);
    others.delete(id);
    const asked = [...others].filter(([other, atMs]) => atMs <= sinceMs || !listed.has(other));
    const gone: string[] = [];
    await Promise.all(
      asked.map(async ([other, atMs]) => {
        if (!(await bus.answers(ingestorSubject(other)))) gone.push(other);
        else if (!listed.has(other)) await redis.client.zadd(redis.keys.ingestors, 'NX', atMs, other);
      }),
    );
    for (const other of gone) others.delete(other);
    this.#others = others;
    return gone.filter((other) => listed.has(other));
  }
}
