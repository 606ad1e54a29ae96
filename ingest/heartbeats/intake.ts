import { hash } from 'node:crypto';
import { parseHeartbeat, peekDeaId } from '../../common/messages/incoming.ts';
import type { DedicatedConnection } from '../../common/nats/bus.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log.ts';
import { ATTRIBUTES, noteOnSpan, SPANS, traced } from '../../common/tracing/tracing.ts';
import type { IngestMetrics } from '../metrics.ts';
import { ChangedHeartbeatQueue, type QueuedHeartbeat } from './changed-queue.ts';
import { type RawHeartbeat, storeChangedHeartbeat } from './store-changed.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: IngestMetrics;
  ccPartition: string;
  dropletLostMs: number;
  /** Tells of a message that does not fit; rate-limited by whoever gives it. */
  rejected(reason: string, detail: Record<string, unknown>): void;
}

/**
 * Heartbeats have a connection of their own, on which they wait for so long: so this process is not woken for each, and one
 * script call serves many. What waits there does not count as silence (`waitedMs`), so no host is lost by it.
 */
export const HEARTBEATS: DedicatedConnection = { name: 'heartbeats', readEveryMs: 100 };

/** What waited together is read within some turns of the event loop; all of it goes into one call. */
const READ_WITHIN_MS = 20;

/**
 * The intake of heartbeats.
 *
 * Of each DEA only the newest heartbeat waits: an older one that has not been stored yet says nothing that
 * the newer one does not, so under more load than can be taken memory stays bounded by the number of DEAs.
 * A heartbeat equal to the last one of its DEA costs a digest and two numbers in Redis, and waits for no other; any
 * other is stored by its difference, as soon as its turn comes (`WaitingChanges`).
 */
export class HeartbeatIntake {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #changes: ChangedHeartbeatQueue;
  /** Not yet known to be changed or equal. In the order of `backlogSinceMs`: what is set anew keeps its place. */
  #waiting = new Map<string, QueuedHeartbeat>();
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;
  /** Of the batch that is being stored, its first one's `backlogSinceMs`. */
  #storingSinceMs: number | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
    this.#changes = new ChangedHeartbeatQueue((dea, raw) =>
      this.#storeChanged(dea, raw).catch((error: unknown) => this.#notStored(error, { dea })),
    );
  }

  /**
   * Takes a heartbeat in. Never throws: what does not fit is counted and told.
   *
   * @param waitedMs that it may have waited before: nobody vouches for that time until it is stored
   */
  take(bytes: Uint8Array, waitedMs = 0): void {
    const { metrics, clock } = this.#options;
    metrics.heartbeatsReceived.inc();
    const dea = peekDeaId(bytes) ?? this.#parsedDea(bytes);
    if (dea === undefined) return;
    const receivedMs = clock.nowMs();
    if (this.#changes.has(dea)) {
      this.#change(dea, {
        bytes,
        digest: digestOf(bytes),
        receivedMs,
        backlogSinceMs: receivedMs - waitedMs,
      });
      return;
    }
    const overtaken = this.#waiting.get(dea);
    if (overtaken !== undefined) metrics.heartbeatsCoalesced.inc();
    const backlogSinceMs = overtaken?.backlogSinceMs ?? receivedMs - waitedMs;
    this.#waiting.set(dea, { bytes, digest: digestOf(bytes), receivedMs, backlogSinceMs });
    if (this.#timer === undefined && this.#storing === undefined) {
      this.#timer = setTimeout(() => this.#store(), READ_WITHIN_MS);
    }
  }

  /** For how long the DEA that has waited longest has waited for a heartbeat of it to be stored (ms); 0 if none waits. */
  backlogAgeMs(): number {
    const nowMs = this.#options.clock.nowMs();
    const [first] = this.#waiting.values();
    const waiting = this.#storingSinceMs ?? first?.backlogSinceMs ?? nowMs;
    return nowMs - Math.min(waiting, this.#changes.oldestMs() ?? nowMs);
  }

  /** Resolves when all that was taken in is stored. */
  async idle(): Promise<void> {
    while (this.#timer !== undefined || this.#storing !== undefined || this.#waiting.size > 0) {
      if (this.#storing === undefined) this.#store();
      await this.#storing;
    }
    await this.#changes.idle();
  }

  #parsedDea(bytes: Uint8Array): string | undefined {
    const parsed = parseHeartbeat(bytes, this.#options.ccPartition);
    if ('ok' in parsed) return parsed.ok.dea;
    this.#options.rejected(parsed.reject, {});
    return undefined;
  }

  #store(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting;
    this.#waiting = new Map();
    const [first] = batch.values();
    this.#storingSinceMs = first?.backlogSinceMs;
    this.#storing = this.#storeBatch(batch)
      .catch((error: unknown) => this.#notStored(error, { deas: batch.size }))
      .finally(() => {
        this.#storing = undefined;
        this.#storingSinceMs = undefined;
        if (this.#waiting.size > 0) this.#store();
      });
  }

  async #storeBatch(batch: ReadonlyMap<string, QueuedHeartbeat>): Promise<void> {
    const { redis, dropletLostMs, metrics } = this.#options;
    const deas = [...batch.keys()];
    const heard: (string | number)[] = [];
    for (const [dea, { digest, receivedMs }] of batch) heard.push(dea, digest, receivedMs);
    const changed = await redis.scripts.touchDeas(
      [redis.keys.deasLastHeartbeat, redis.keys.deasPreviousHeartbeat, redis.keys.deasDigest],
      [dropletLostMs, ...heard],
    );
    metrics.heartbeatsEqual.inc(batch.size - changed.length);
    for (const number of changed) {
      const dea = deas[number - 1] as string;
      this.#change(dea, batch.get(dea) as QueuedHeartbeat);
    }
  }

  #change(dea: string, raw: QueuedHeartbeat): void {
    if (this.#changes.has(dea)) this.#options.metrics.heartbeatsCoalesced.inc();
    this.#changes.enqueue(dea, raw);
  }

  async #storeChanged(dea: string, raw: RawHeartbeat): Promise<void> {
    const { ccPartition, rejected, redis, dropletLostMs, metrics } = this.#options;
    const parsed = parseHeartbeat(raw.bytes, ccPartition);
    if (!('ok' in parsed)) {
      rejected(parsed.reject, { dea });
      return;
    }
    for (const entry of parsed.ok.rejected)
      rejected(entry.reason, { dea: parsed.ok.dea, entries: entry.count });
    const outcome = await traced(SPANS.heartbeat, { [ATTRIBUTES.dea]: parsed.ok.dea }, async () => {
      const stored = await storeChangedHeartbeat(redis, dropletLostMs, parsed.ok, raw);
      noteOnSpan({ [ATTRIBUTES.droplets]: stored.droplets, [ATTRIBUTES.stale]: stored.stale });
      return stored;
    });
    if (outcome.stale) metrics.heartbeatsCoalesced.inc();
    else metrics.heartbeatsChanged.inc();
    metrics.dropletsChanged.inc(outcome.droplets);
  }

  #notStored(error: unknown, of: { dea: string } | { deas: number }): void {
    this.#limited.error(
      'not_stored',
      { event: 'heartbeats_not_stored', err: error, ...of },
      'heartbeats could not be stored; the next ones will be',
    );
  }
}

/** Equal digests are equal heartbeats. */
const digestOf = (bytes: Uint8Array): string => hash('sha1', bytes, 'base64');
