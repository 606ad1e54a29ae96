import { hash } from 'node:crypto';
import type { Clock } from '../common/clock.ts';
import type { Logger } from '../common/log.ts';
import { parseHeartbeat, tailDea } from '../common/messages.ts';
import type { RedisConnections } from '../common/redis.ts';
import { type RawHeartbeat, storeChangedHeartbeat } from './changed-heartbeat.ts';
import type { IngestMetrics } from './metrics.ts';

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

/** A heartbeat that is not stored yet. */
interface Waiting extends RawHeartbeat {
  /** Since when something of this DEA waits: of heartbeats that were overtaken meanwhile, the first one's time (ms). */
  sinceMs: number;
}

/** Heartbeats are gathered for so long, so that one script call serves many: a fiftieth of a second delays nothing that counts. */
const GATHER_MS = 20;
/** So many changed heartbeats are stored side by side: more only lengthens the queue inside Redis. */
const STORED_AT_ONCE = 32;

/**
 * The intake of heartbeats.
 *
 * Of each DEA only the newest heartbeat waits: an older one that has not been stored yet says nothing that
 * the newer one does not, so under more load than can be taken memory stays bounded by the number of DEAs.
 * A heartbeat equal to the last one of its DEA costs a digest and two numbers in Redis; any other is
 * stored by its difference.
 */
export class HeartbeatIntake {
  readonly #options: Options;
  /** In the order of `sinceMs`: what is set anew keeps its place. */
  #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;
  /** Of the batch that is being stored, its first one's `sinceMs`. */
  #storingSinceMs: number | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Takes a heartbeat in. Never throws: what does not fit is counted and told. */
  take(bytes: Uint8Array): void {
    const { metrics, clock } = this.#options;
    metrics.heartbeatsReceived.inc();
    const dea = tailDea(bytes) ?? this.#parsedDea(bytes);
    if (dea === undefined) return;
    const receivedMs = clock.now();
    const overtaken = this.#waiting.get(dea);
    if (overtaken !== undefined) metrics.heartbeatsOvertaken.inc();
    const sinceMs = overtaken?.sinceMs ?? receivedMs;
    this.#waiting.set(dea, { bytes, digest: hash('sha1', bytes, 'base64'), receivedMs, sinceMs });
    if (this.#timer === undefined && this.#storing === undefined) {
      this.#timer = setTimeout(() => this.#store(), GATHER_MS);
    }
  }

  /** For how long the DEA that has waited longest has waited for a heartbeat of it to be stored (ms); 0 if none waits. */
  waitedMs(): number {
    const [first] = this.#waiting.values();
    const sinceMs = this.#storingSinceMs ?? first?.sinceMs;
    return sinceMs === undefined ? 0 : this.#options.clock.now() - sinceMs;
  }

  /** Resolves when all that was taken in is stored. */
  async idle(): Promise<void> {
    while (this.#timer !== undefined || this.#storing !== undefined || this.#waiting.size > 0) {
      if (this.#storing === undefined) this.#store();
      await this.#storing;
    }
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
    this.#storingSinceMs = first?.sinceMs;
    this.#storing = this.#storeBatch(batch)
      .catch((error: unknown) => {
        this.#options.log.error(
          { event: 'heartbeats_not_stored', err: error, deas: batch.size },
          'heartbeats could not be stored; the next ones will be',
        );
      })
      .finally(() => {
        this.#storing = undefined;
        this.#storingSinceMs = undefined;
        if (this.#waiting.size > 0) this.#store();
      });
  }

  async #storeBatch(batch: ReadonlyMap<string, RawHeartbeat>): Promise<void> {
    const { redis, dropletLostMs, metrics } = this.#options;
    const deas = [...batch.keys()];
    const heard: (string | number)[] = [];
    for (const [dea, { digest, receivedMs }] of batch) heard.push(dea, digest, receivedMs);
    const changed = await redis.scripts.deasHeard(
      [redis.keys.deasHeard, redis.keys.deasPrevious, redis.keys.deasDigest],
      [dropletLostMs, ...heard],
    );
    metrics.heartbeatsEqual.inc(batch.size - changed.length);
    const queue = changed.map((number) => deas[number - 1] as string);
    const failures: unknown[] = [];
    const next = async () => {
      for (let dea = queue.pop(); dea !== undefined; dea = queue.pop()) {
        // One that Redis refuses must not keep the others from being stored, nor from being waited for.
        await this.#storeChanged(dea, batch.get(dea) as RawHeartbeat).catch((error) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: Math.min(STORED_AT_ONCE, queue.length) }, next));
    if (failures.length > 0) throw failures[0];
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
    const outcome = await storeChangedHeartbeat(redis, dropletLostMs, parsed.ok, raw);
    metrics.heartbeatsChanged.inc();
    if (outcome.stale) metrics.heartbeatsOvertaken.inc();
    metrics.dropletsChanged.inc(outcome.droplets);
  }
}
