import { isTemporary } from '../common/redis/connection/connection-error.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../common/runtime/log/log.ts';
import type { IngestMetrics } from './metrics.ts';

/** A received message that must be stored. */
export interface BufferedMessage {
  subject: string;
  /** Size in memory, about (bytes). */
  bytes: number;
  /** Messages with the same key have the same effect: while one waits, another need not. */
  key?: string;
  /** May be called again after a failure. */
  store(): Promise<unknown>;
}

export interface BufferBounds {
  maxMessages: number;
  maxBytes: number;
}

/** Some hundred bytes each: at most about 50 MB. */
const BOUNDS: BufferBounds = { maxMessages: 50_000, maxBytes: 32 << 20 };
/** Messages stored at the same time; more would wait in the Redis client, which has no bound. */
const MAX_STORING = 256;
/** Waits between two tries while Redis takes no writes (ms): twice as long each time. */
const RETRY = { firstMs: 100, maxMs: 2_000 };

interface Options {
  metrics: Pick<IngestMetrics, 'messagesDropped' | 'messagesWaiting'>;
  log: Logger;
  bounds?: BufferBounds;
}

/**
 * Stores messages, and keeps those that Redis refuses for now: it is full, read-only, busy or away. One of them is tried
 * again and again; once it is stored, all others are.
 *
 * Beyond the bounds the oldest message with a key (an update, a shutdown) is dropped, then the oldest of the others (an exit):
 * its instance is lost by its missing heartbeats, anyway.
 */
export class MessageBuffer {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #bounds: BufferBounds;
  /** Waiting messages, oldest first. */
  readonly #exits = new Map<number, BufferedMessage>();
  readonly #keyed = new Map<string, BufferedMessage>();
  #bytes = 0;
  #added = 0;
  #storing = 0;
  /** The wait before the next try; 0 while Redis takes writes. */
  #retryMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(options: Options) {
    this.#options = options;
    this.#bounds = options.bounds ?? BOUNDS;
    this.#limited = createRateLimit(options.log);
  }

  /** Messages that wait, besides those being stored. */
  get waiting(): number {
    return this.#exits.size + this.#keyed.size;
  }

  /** Stores the message now if Redis takes writes; else it waits. */
  add(message: BufferedMessage): void {
    this.#put(message);
    this.#storeNext();
  }

  /** Resolves when every message is stored, dropped or has failed. */
  async idle(): Promise<void> {
    while (this.#storing > 0 || this.waiting > 0)
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #put(message: BufferedMessage): void {
    const { key } = message;
    if (key !== undefined && this.#keyed.has(key)) return;
    if (key === undefined) this.#exits.set(this.#added++, message);
    else this.#keyed.set(key, message);
    this.#bytes += message.bytes;
    const { maxMessages, maxBytes } = this.#bounds;
    while (this.waiting > maxMessages || this.#bytes > maxBytes) this.#dropOldest();
    this.#options.metrics.messagesWaiting.set(this.waiting);
  }

  #dropOldest(): void {
    const dropped = takeFirst(this.#keyed) ?? takeFirst(this.#exits);
    if (dropped === undefined) return;
    this.#bytes -= dropped.bytes;
    const { subject } = dropped;
    this.#options.metrics.messagesDropped.inc({ subject });
    this.#limited.error(
      `dropped ${subject}`,
      { event: 'messages_dropped', subject },
      'messages dropped: too many wait to be stored',
    );
  }

  #storeNext(): void {
    const { messagesWaiting } = this.#options.metrics;
    while (this.#retryTimer === undefined && this.#storing < (this.#retryMs > 0 ? 1 : MAX_STORING)) {
      const message = takeFirst(this.#exits) ?? takeFirst(this.#keyed);
      if (message === undefined) break;
      this.#bytes -= message.bytes;
      this.#storing++;
      void this.#store(message).finally(() => {
        this.#storing--;
        this.#storeNext();
      });
    }
    messagesWaiting.set(this.waiting);
    if (this.#storing === 0 && this.waiting === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  async #store(message: BufferedMessage): Promise<void> {
    const { log } = this.#options;
    try {
      await message.store();
      if (this.#retryMs > 0)
        log.info({ event: 'messages_stored', messages: this.waiting + 1 }, 'Redis takes messages again');
      this.#retryMs = 0;
    } catch (error) {
      const { subject } = message;
      if (!isTemporary(error)) {
        log.error({ event: 'message_not_stored', subject, err: error }, 'message not stored');
        return;
      }
      if (this.#retryMs === 0)
        log.warn({ event: 'messages_waiting', subject, err: error }, 'Redis takes no messages: they wait');
      this.#put(message);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#retryTimer !== undefined) return;
    this.#retryMs = Math.min(2 * this.#retryMs || RETRY.firstMs, RETRY.maxMs);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#storeNext();
    }, this.#retryMs);
  }
}

function takeFirst<K>(messages: Map<K, BufferedMessage>): BufferedMessage | undefined {
  for (const [key, message] of messages) {
    messages.delete(key);
    return message;
  }
  return undefined;
}
