import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseHeartbeat } from '../../common/messages/incoming/incoming.ts';
import { peekDeaId } from '../../common/messages/incoming/peek-dea-id.ts';
import type { DedicatedConnection } from '../../common/nats/connection/connect.ts';
import { heartbeatPeriodMs, rebuiltWithinMs, unfinishedWaitMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import { isTemporary } from '../../common/redis/connection/connection-error.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { touchDeas } from '../../common/redis/scripts/deas/touch-deas.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log/log.ts';
import type { IngestMetrics } from '../metrics.ts';
import { ChangedHeartbeatQueue, type QueuedHeartbeat } from './changed-queue.ts';
import { ClaimRetries } from './claims/claim-retries.ts';
import { Patience } from './patience.ts';
import type { HeartbeatOutcome, RawHeartbeat } from './raw-heartbeat.ts';
import { RefusalReports } from './refusal-reports.ts';
import { parseAndStore } from './storing/parse-and-store.ts';
import { LostRecords } from './verification/lost-records.ts';
import { DeaVerifier } from './verification/verifier.ts';
import { withNewer } from './waiting.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  metrics: IngestMetrics;
  ccPartition: string;
  dropletLostMs: number;
  /** Reports a rejected heartbeat or rejected entries of one; limits its own rate. */
  rejected(reason: string, detail: Record<string, unknown>): void;
}

/**
 * Heartbeats have a connection of their own, whose socket is read in batches every 100 ms. So the process is not woken for
 * each heartbeat, and one script call serves many. The wait is part of the backlog (`readLagMs`), so it makes no DEA lost.
 */
export const HEARTBEATS: DedicatedConnection = { name: 'heartbeats', readEveryMs: 100 };

/** A batch from the socket is read within some turns of the event loop; after this time all of it goes into one call. */
const COLLECT_MS = 20;
/** Wait before heartbeats that Redis refused are stored again (ms). */
const RETRY_MS = 500;
/** Wait before it is asked again whether another ingestor has finished a heartbeat of the same DEA (ms). Most take some ms. */
const ASK_AGAIN_MS = 50;
/** Timers and the clock of Redis do not run alike: a retry that comes too early would find the owner not yet late. */
const RETRY_MARGIN_MS = 100;

/**
 * The first stop of a heartbeat: finds out in batches whether each equals the previous one of its DEA.
 *
 * An equal heartbeat costs one hash and two small Redis writes, and waits for no other. A changed one goes to the
 * `ChangedHeartbeatQueue`, which parses and stores it. Of each DEA the newest heartbeat waits, and only if it lists less, an
 * older one before it. So overload cannot take more memory than a few heartbeats a DEA.
 */
export class HeartbeatIntake {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #changed: ChangedHeartbeatQueue;
  readonly #verifier: DeaVerifier;
  readonly #retries = new ClaimRetries();
  /** The next batch: of each DEA oldest first, and the DEAs in the order of their oldest `backlogSinceMs`. */
  #batch = new Map<string, QueuedHeartbeat[]>();
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;
  /**
   * Redis may refuse a heartbeat because somebody gave a key another type, which is mended soon; until then it waits, because a DEA that
   * is heard must not count as silent. What Redis never takes must not hold back the watermark for ever.
   */
  readonly #refused: Patience;
  /** For another ingestor that stores a heartbeat of the same DEA. */
  readonly #unfinished: Patience;
  #givenUp = 0;
  /** The oldest `backlogSinceMs` of the batch that is being stored. */
  #storingSinceMs: number | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
    const nowMs = () => options.clock.nowMs();
    this.#refused = new Patience(nowMs, rebuiltWithinMs(options));
    this.#unfinished = new Patience(nowMs, unfinishedWaitMs(options));
    this.#verifier = new DeaVerifier({ ...options, limited: this.#limited });
    const repaired = this.#verifier.report.bind(this.#verifier);
    const lost = new LostRecords(options);
    const beforeRebuild = lost.beforeRebuild.bind(lost);
    const refusals = new RefusalReports({ ...options, limited: this.#limited });
    const refused = refusals.report.bind(refusals);
    this.#changed = new ChangedHeartbeatQueue(
      (dea, raw) => this.#store({ ...options, repaired, refused, beforeRebuild }, dea, raw),
      undefined,
      { nowMs, afterMs: heartbeatPeriodMs(options) },
    );
  }

  /**
   * Takes a heartbeat. Never throws: an invalid one is reported to `rejected`.
   *
   * @param readLagMs how long it may have waited to be read from the connection (ms)
   * @param settle called once with what became of it, maybe before this returns
   */
  take(bytes: Uint8Array, readLagMs = 0, settle?: (outcome: HeartbeatOutcome) => void): void {
    const { metrics, clock } = this.#options;
    metrics.heartbeatsReceived.inc();
    const dea = peekDeaId(bytes) ?? this.#parsedDea(bytes);
    if (dea === undefined) {
      settle?.('invalid');
      return;
    }
    const receivedMs = clock.nowMs();
    const earliestMs = receivedMs - readLagMs;
    this.#retries.cancel(dea);
    const times = { receivedMs, earliestMs, backlogSinceMs: earliestMs };
    const heartbeat = { bytes, digest: digestOf(bytes), ...times, ...(settle && { settle }) };
    if (this.#changed.isBusyWith(dea) && !this.#batch.has(dea)) {
      this.#enqueueChanged(dea, heartbeat);
      return;
    }
    this.#addToBatch(dea, heartbeat);
    if (this.#timer === undefined && this.#storing === undefined) {
      this.#timer = setTimeout(() => this.#storeBatch(), COLLECT_MS);
    }
  }

  /** Age of the oldest heartbeat that is not stored, or of the one it replaced (ms); 0 if every one is stored. */
  backlogAgeMs(): number {
    const nowMs = this.#options.clock.nowMs();
    const [first] = this.#batch.values();
    const sinceMs = this.#storingSinceMs ?? first?.[0]?.backlogSinceMs ?? nowMs;
    return nowMs - Math.min(sinceMs, this.#changed.backlogSinceMs() ?? nowMs);
  }

  /** How many heartbeats were given up, because memory was used up or Redis refused them for too long. */
  get lostHeartbeats(): number {
    return this.#changed.expired + this.#givenUp;
  }

  /** Resolves when every heartbeat taken is stored. */
  async idle(): Promise<void> {
    while (this.#timer !== undefined || this.#storing !== undefined || this.#batch.size > 0) {
      if (this.#storing === undefined) this.#storeBatch();
      await this.#storing;
    }
    await this.#changed.idle();
    await this.#verifier.idle();
  }

  #parsedDea(bytes: Uint8Array): string | undefined {
    const parsed = parseHeartbeat(bytes, this.#options.ccPartition);
    if ('ok' in parsed) return parsed.ok.dea;
    this.#options.rejected(parsed.reject, {});
    return undefined;
  }

  #storeBatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#takeBatch();
    if (batch.size === 0) return;
    const [first] = batch.values();
    this.#storingSinceMs = first?.backlogSinceMs;
    this.#storing = this.#touchEqual(batch)
      .catch(async (error: unknown) => {
        this.#logNotStored(error, { deas: batch.size });
        await delay(RETRY_MS);
        this.#putBack(batch);
      })
      .finally(() => {
        this.#storing = undefined;
        this.#storingSinceMs = undefined;
        if (this.#batch.size > 0) this.#storeBatch();
      });
  }

  /**
   * The heartbeats to compare with the previous ones of their DEAs. The others are stored whole: several of one DEA in their order, and one
   * whose previous one is not stored yet after it. Such a one would be compared with the one before; if it equals that, the previous
   * one would be stored as the last.
   */
  #takeBatch(): Map<string, QueuedHeartbeat> {
    const batch = new Map<string, QueuedHeartbeat>();
    for (const [dea, heartbeats] of this.#batch) {
      const [first] = heartbeats;
      if (first !== undefined && heartbeats.length === 1 && !this.#changed.isBusyWith(dea))
        batch.set(dea, first);
      else for (const heartbeat of heartbeats) this.#enqueueChanged(dea, heartbeat);
    }
    this.#batch = new Map();
    return batch;
  }

  /** Stores the times of equal heartbeats, and queues the changed ones. */
  async #touchEqual(batch: ReadonlyMap<string, QueuedHeartbeat>): Promise<void> {
    const { redis, dropletLostMs, metrics } = this.#options;
    const { changed, verify } = await touchDeas(redis, { dropletLostMs, heartbeats: batch });
    metrics.heartbeatsEqual.inc(batch.size - changed.length);
    const differs = new Set(changed);
    for (const [dea, { settle }] of batch) if (!differs.has(dea)) settle?.('stored');
    for (const dea of changed) this.#enqueueChanged(dea, batch.get(dea) as QueuedHeartbeat);
    // Their heartbeats are stored: should this fail, the DEAs have another turn.
    await this.#verifier.verify(verify).catch((error: unknown) => this.#logNotVerified(error));
  }

  #logNotVerified(error: unknown): void {
    this.#limited.warn(
      'not_verified',
      { event: 'heartbeats_not_verified', err: error },
      'heartbeats not verified',
    );
  }

  /** These heartbeats are stored with the next batch. A newer one of the same DEA takes the place, and is overdue for as long. */
  #putBack(batch: ReadonlyMap<string, QueuedHeartbeat>): void {
    const newer = this.#batch;
    this.#batch = new Map([...batch].map(([dea, heartbeat]) => [dea, [heartbeat]]));
    for (const [dea, heartbeats] of newer)
      for (const heartbeat of heartbeats) this.#addToBatch(dea, heartbeat);
  }

  #addToBatch(dea: string, heartbeat: QueuedHeartbeat): void {
    const before = this.#batch.get(dea) ?? [];
    const backlogSinceMs = before[0]?.backlogSinceMs ?? heartbeat.backlogSinceMs;
    const { waiting, replaced } = withNewer(before, { ...heartbeat, backlogSinceMs });
    this.#options.metrics.heartbeatsCoalesced.inc(replaced);
    this.#batch.set(dea, waiting);
  }

  #enqueueChanged(dea: string, heartbeat: QueuedHeartbeat): void {
    this.#options.metrics.heartbeatsCoalesced.inc(this.#changed.enqueue(dea, heartbeat));
  }

  /** Stores a changed heartbeat. Never rejects. */
  async #store(
    options: Parameters<typeof parseAndStore>[0],
    dea: string,
    raw: RawHeartbeat,
  ): Promise<'done' | 'again'> {
    try {
      raw.mayWait = raw.mayWait !== false && this.#unfinished.waits(dea);
      const result = await this.#parseAndStore(options, dea, raw);
      this.#refused.end(dea);
      if (result === 'unfinished') {
        await delay(ASK_AGAIN_MS);
        return 'again';
      }
      this.#unfinished.end(dea);
      return 'done';
    } catch (error) {
      this.#logNotStored(error, { dea });
      if (isTemporary(error) || this.#refused.waits(dea)) {
        await delay(RETRY_MS);
        return 'again';
      }
      this.#givenUp++;
      raw.settle?.('not_stored');
      return 'done';
    }
  }

  /** Also plans one retry of claims that are rejected. The retry may run beside a newer heartbeat, as those of two ingestors may. */
  async #parseAndStore(
    options: Parameters<typeof parseAndStore>[0],
    dea: string,
    raw: RawHeartbeat,
  ): Promise<'done' | 'unfinished'> {
    const result = await parseAndStore(options, dea, raw);
    if (result === 'unfinished') return result;
    const { outcome, retryAtMs } = result;
    raw.settle?.(outcome);
    const { clock } = this.#options;
    if (retryAtMs === undefined || raw.retriedMs !== undefined || this.#changed.has(dea)) return 'done';
    const { settle: _, ...settled } = raw;
    const retry = () => {
      const retriedMs = clock.nowMs();
      this.#parseAndStore(options, dea, { ...settled, retriedMs }).catch((error: unknown) =>
        this.#logNotStored(error, { dea }),
      );
    };
    const afterMs = retryAtMs - clock.nowMs();
    if (afterMs > 0) this.#retries.plan(dea, raw.bytes.length, afterMs + RETRY_MARGIN_MS, retry);
    return 'done';
  }

  #logNotStored(error: unknown, fields: { dea: string } | { deas: number }): void {
    this.#limited[isTemporary(error) ? 'warn' : 'error'](
      'not_stored',
      { event: 'heartbeats_not_stored', err: error, ...fields },
      'heartbeats not stored; retrying',
    );
  }
}

const digestOf = (bytes: Uint8Array): string => hash('sha1', bytes, 'base64');
