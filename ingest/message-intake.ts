import type { Attributes } from '@opentelemetry/api';
import { type DeploymentName, queueGroup, SUBJECTS } from '../common/messages/subjects.ts';
import type { Parsed } from '../common/messages/validation.ts';
import type { Bus, BusSubscription } from '../common/nats/bus.ts';
import type { CounterName, FleetCounters } from '../common/redis/fleet/counters.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../common/runtime/log/log.ts';
import { type SPANS, traced } from '../common/tracing/tracing.ts';
import { MessageBuffer } from './message-buffer.ts';
import type { IngestMetrics } from './metrics.ts';

/** One kind of message: how it is parsed, counted, traced and stored. */
export interface MessageKind<T> {
  subject: string;
  parse(bytes: Uint8Array): Parsed<T>;
  /** The deployment's counter of received messages, whether accepted or not. */
  received?: CounterName;
  /** Counts an accepted message in the metrics of this process. */
  accepted(message: T): void;
  trace?: { span: (typeof SPANS)[keyof typeof SPANS]; attributes(message: T): Attributes };
  /** Messages with the same key have the same effect: while one waits to be stored, another need not. */
  key?(message: T): string;
  /**
   * Called in the same turn of the event loop in which the message was received.
   *
   * @returns stores the message; called again when Redis takes no writes for now
   */
  prepare(message: T): () => Promise<unknown>;
}

/** What a waiting message needs in memory besides its payload (bytes). */
const MESSAGE_OVERHEAD_BYTES = 500;

interface Options {
  deployment: DeploymentName;
  counters: FleetCounters;
  metrics: Pick<IngestMetrics, 'rejected' | 'messagesWaiting' | 'messagesDropped'>;
  log: Logger;
}

/** What to subscribe to in each generation of the queue group. */
interface Source {
  bus: Bus;
  subject: string;
  handle(data: Uint8Array): void;
}

/**
 * Subscribes in ingest's queue group: each message goes to one copy of the process. Nothing is received before the first `join`.
 */
export class MessageIntake {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #sources: Source[] = [];
  readonly #buffer: MessageBuffer;
  #generation: number | undefined;
  #subscriptions: { subject: string; subscription: BusSubscription }[] = [];
  #changing: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
    this.#buffer = new MessageBuffer(options);
  }

  /** Parses and stores every message of a kind. A message of another partition is ignored. */
  consume<T>(bus: Bus, kind: MessageKind<T>): void {
    const { subject, trace, received } = kind;
    const handle = (data: Uint8Array) => {
      const parsed = kind.parse(data);
      if ('reject' in parsed) return this.reject(subject, parsed.reject);
      if ('foreign' in parsed) return;
      const message = parsed.ok;
      kind.accepted(message);
      const store = kind.prepare(message);
      this.#buffer.add({
        subject,
        bytes: data.length + MESSAGE_OVERHEAD_BYTES,
        ...(kind.key && { key: `${subject} ${kind.key(message)}` }),
        store: trace === undefined ? store : () => traced(trace.span, trace.attributes(message), store),
      });
    };
    this.#add(bus, subject, received, handle);
  }

  /** Hands the payload of every message to `handle`. */
  subscribe(
    bus: Bus,
    subject: string,
    received: CounterName | undefined,
    handle: (data: Uint8Array) => void,
  ): void {
    this.#add(bus, subject, received, handle);
  }

  /** Counts and logs a rejected message, or rejected entries of one. */
  reject(subject: string, reason: string, detail: Record<string, unknown> = {}): void {
    this.#options.metrics.rejected.inc({ subject, reason });
    this.#limited.warn(
      `${subject} ${reason}`,
      { event: 'message_rejected', subject, reason, ...detail },
      'message rejected',
    );
  }

  /** The generation of the queue group that this process has joined; undefined if none. */
  get generation(): number | undefined {
    return this.#generation;
  }

  /**
   * NATS refuses the subscription to heartbeats. Known after a flush that began after the join. Of other subjects the heartbeats go on, also
   * to a process that stands still, so it stays on the list of ingestors.
   */
  get isRefused(): boolean {
    return this.#subscriptions.some(
      ({ subject, subscription }) => subject === SUBJECTS.heartbeat && subscription.isRefused,
    );
  }

  /**
   * Joins the queue group of a generation, and then leaves the one before. Meanwhile a message may arrive twice, which is
   * harmless: storing is repeatable.
   *
   * @returns when the servers have processed the subscriptions  @throws BusError when a connection is lost meanwhile
   */
  join(generation: number): Promise<void> {
    return this.#inTurn(async () => {
      if (generation === this.#generation || this.#hasEnded) return;
      const before = this.#subscriptions;
      const queue = queueGroup(this.#options.deployment, 'ingest', generation);
      this.#subscriptions = this.#sources.map(({ bus, subject, handle }) => ({
        subject,
        subscription: bus.subscribe(subject, { queue }, ({ data }) => handle(data)),
      }));
      this.#generation = generation;
      try {
        await Promise.all(this.#buses().map((bus) => bus.flush()));
      } finally {
        await drain(before);
      }
    });
  }

  /** Leaves the queue group, so that the other copies get all messages. */
  leave(): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#subscriptions;
      this.#subscriptions = [];
      this.#generation = undefined;
      await drain(before);
    });
  }

  /** Leaves for good. Resolves when every delivered message has been handed to its handler. */
  async drain(): Promise<void> {
    this.#hasEnded = true;
    await this.leave();
  }

  /** Resolves when every message of `consume` is stored or has failed. */
  async idle(): Promise<void> {
    await this.#buffer.idle();
  }

  #add(
    bus: Bus,
    subject: string,
    received: CounterName | undefined,
    handle: (data: Uint8Array) => void,
  ): void {
    const counted = (data: Uint8Array) => {
      if (received !== undefined) this.#options.counters.increment(received);
      handle(data);
    };
    this.#sources.push({ bus, subject, handle: counted });
  }

  #buses(): Bus[] {
    return [...new Set(this.#sources.map(({ bus }) => bus))];
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(change);
    this.#changing = done.catch(() => undefined);
    return done;
  }
}

/** A connection that is lost meanwhile has ended its subscriptions too. */
async function drain(subscriptions: readonly { subscription: BusSubscription }[]): Promise<void> {
  await Promise.allSettled(subscriptions.map(({ subscription }) => subscription.drain()));
}
