import type { Attributes } from '@opentelemetry/api';
import { QUEUE_GROUPS } from '../common/messages/subjects.ts';
import type { Parsed } from '../common/messages/validation.ts';
import type { Bus, BusSubscription } from '../common/nats/bus.ts';
import type { CounterName, FleetCounters } from '../common/redis/counters.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../common/runtime/log.ts';
import { type SPANS, traced } from '../common/tracing/tracing.ts';
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
  /** Called in the same turn of the event loop in which the message was received. */
  store(message: T): Promise<unknown>;
}

interface Options {
  counters: FleetCounters;
  metrics: Pick<IngestMetrics, 'rejected'>;
  log: Logger;
}

/** Subscribes in ingest's queue group: each message goes to one copy of the process. */
export class MessageIntake {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #subscriptions: BusSubscription[] = [];
  readonly #inFlight = new Set<Promise<void>>();

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** Parses and stores every message of a kind. A message of another partition is ignored. */
  consume<T>(bus: Bus, kind: MessageKind<T>): void {
    const { subject, trace } = kind;
    this.subscribe(bus, subject, kind.received, (data) => {
      const parsed = kind.parse(data);
      if ('reject' in parsed) return this.reject(subject, parsed.reject);
      if ('foreign' in parsed) return;
      const message = parsed.ok;
      kind.accepted(message);
      const store = () => kind.store(message);
      this.#track(
        subject,
        trace === undefined ? store() : traced(trace.span, trace.attributes(message), store),
      );
    });
  }

  /** Hands the payload of every message to `handle`. */
  subscribe(
    bus: Bus,
    subject: string,
    received: CounterName | undefined,
    handle: (data: Uint8Array) => void,
  ): void {
    const subscription = bus.subscribe(subject, { queue: QUEUE_GROUPS.ingest }, ({ data }) => {
      if (received !== undefined) this.#options.counters.increment(received);
      handle(data);
    });
    this.#subscriptions.push(subscription);
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

  /** Ends the subscriptions. Resolves when every delivered message has been handed to its handler. */
  async drain(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
  }

  /** Resolves when every message of `consume` is stored or has failed. */
  async idle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  #track(subject: string, storing: Promise<unknown>): void {
    const done: Promise<void> = storing
      .then(
        () => undefined,
        (error: unknown) =>
          this.#options.log.error({ event: 'message_not_stored', subject, err: error }, 'message not stored'),
      )
      .finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }
}
