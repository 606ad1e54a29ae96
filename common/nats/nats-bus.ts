/**
 * The connection to NATS (core, no JetStream).
 *
 * States: connecting (retried without end, see `connect.ts`) -> connected <-> disconnected -> closed. Each loss and each
 * reconnect is logged once. While disconnected nothing is published: a decision made before an outage must be made anew
 * after it, not sent late.
 */
import {
  headers as createHeaders,
  Events,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type PublishOptions,
} from 'nats';
import { subjectLabel } from '../messages/subjects.ts';
import type { Health } from '../runtime/health.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../runtime/log/log.ts';
import { type BusMetrics, beginAtZero } from '../runtime/metrics.ts';
import { BatchedReader } from './batched-reader.ts';
import type { Bus, Handler, Headers } from './bus.ts';
import { BusError, busError, errorKind } from './bus-errors.ts';
import { abandon, lastServerError, sendCommands, socketOf } from './connection/client-internals.ts';
import { type BusSubscription, Subscriptions } from './subscriptions.ts';

interface NatsBusOptions {
  connection: NatsConnection;
  log: Logger;
  health: Health;
  healthPart: string;
  metrics: BusMetrics;
  metricLabel: string;
  /** Time between two batches (ms); without it, messages are read as they come. */
  readEveryMs: number | undefined;
}

export class NatsBus implements Bus {
  readonly connection: NatsConnection;
  readonly #log: Logger;
  readonly #limited: RateLimitedLog;
  readonly #health: Health;
  readonly #metrics: BusMetrics;
  readonly #healthPart: string;
  readonly #label: { connection: string };
  readonly #reader: BatchedReader | undefined;
  readonly #subscriptions: Subscriptions;
  readonly #lostListeners: (() => void)[] = [];
  readonly #restoredListeners: (() => void)[] = [];
  #connected = true;
  #nextFlush: Promise<void> | undefined;
  #closing = false;

  constructor({ connection, log, health, healthPart, metrics, metricLabel, readEveryMs }: NatsBusOptions) {
    this.connection = connection;
    this.#log = log;
    this.#limited = createRateLimit(log);
    this.#health = health;
    this.#healthPart = healthPart;
    this.#metrics = metrics;
    this.#label = { connection: metricLabel };
    this.#metrics.connected.set(this.#label, 1);
    health.set(healthPart, undefined);
    this.#subscriptions = new Subscriptions({
      ...{ health, log },
      refused: metrics.refusedSubscriptions,
      flush: () => this.flush(),
    });
    void this.#watchStatus();
    void this.#watchEnd();
    if (readEveryMs === undefined) return;
    const socket = () => (this.connected() ? socketOf(connection) : undefined);
    this.#reader = new BatchedReader({ socket, flush: () => connection.flush() }, readEveryMs);
  }

  connected(): boolean {
    return this.#connected && !this.connection.isClosed();
  }

  subscribe(subject: string, { queue }: { queue?: string }, handler: Handler): BusSubscription {
    beginAtZero(this.#metrics.handlerErrors, [{ subject: subjectLabel(subject) }]);
    return this.#subscriptions.add(subject, queue, subjectLabel(subject), (refused) =>
      this.connection.subscribe(subject, {
        ...(queue !== undefined && { queue }),
        callback: (error, message) => {
          if (error === null) this.#handle(subject, handler, message);
          else refused();
        },
      }),
    );
  }

  #handle(subject: string, handler: Handler, message: Msg): void {
    const failed = (error: unknown) => {
      this.#metrics.handlerErrors.inc({ subject: subjectLabel(subject) });
      this.#limited.error(
        `handler of ${subject}`,
        { event: 'message_handler_failed', subject, err: error },
        'message handler failed',
      );
    };
    try {
      const result = handler(message);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  publish(subject: string, data: string | Uint8Array = '', headers?: Headers): void {
    if (!this.connected()) throw new BusError('disconnected', `${subject}: not connected to NATS`);
    // The client would use TextEncoder, which takes half as long again for messages of this size.
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      this.connection.publish(subject, bytes, this.#withHeaders(headers));
    } catch (cause) {
      throw busError(subject, cause);
    }
  }

  publishAll(subject: string, texts: readonly string[]): number[] {
    if (!this.connected()) throw new BusError('disconnected', `${subject}: not connected to NATS`);
    const maxBytes = this.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const tooLarge: number[] = [];
    let commands = '';
    texts.forEach((text, at) => {
      const bytes = Buffer.byteLength(text);
      if (bytes > maxBytes) tooLarge.push(at);
      else commands += `PUB ${subject} ${bytes}\r\n${text}\r\n`;
    });
    if (commands !== '') sendCommands(this.connection, Buffer.from(commands));
    return tooLarge;
  }

  /** Servers before 2.2 have no headers. Nothing in the messages depends on them. */
  #withHeaders(headers: Headers | undefined): PublishOptions {
    if (headers === undefined || this.connection.info?.headers !== true) return {};
    return { headers: headersOf(headers) };
  }

  async request(
    subject: string,
    data: string | Uint8Array,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Msg> {
    if (!this.connected()) throw new BusError('disconnected', `${subject}: not connected to NATS`);
    try {
      return await this.#readWhile(() => this.connection.request(subject, data, { timeout: timeoutMs }));
    } catch (cause) {
      throw busError(subject, cause);
    }
  }

  async answers(subject: string, options: { timeoutMs: number }): Promise<boolean> {
    try {
      await this.request(subject, '', options);
    } catch (error) {
      if (error instanceof BusError) return error.kind !== 'no_responders';
      throw error;
    }
    return true;
  }

  /** All calls of one turn of the event loop share one round trip. */
  flush(): Promise<void> {
    this.#nextFlush ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#nextFlush = undefined;
      return this.#flush();
    });
    return this.#nextFlush;
  }

  async #flush(): Promise<void> {
    if (!this.connected()) throw new BusError('disconnected', 'flush: not connected to NATS');
    try {
      await this.#readWhile(() => this.connection.flush());
    } catch (cause) {
      throw busError('flush', cause);
    }
  }

  readLagMs(): number {
    return this.#reader?.readLagMs() ?? 0;
  }

  #readWhile<T>(reply: () => Promise<T>): Promise<T> {
    return this.#reader === undefined ? reply() : this.#reader.readWhile(reply);
  }

  abandon(): void {
    abandon(this.connection);
  }

  onLost(fn: () => void): void {
    this.#lostListeners.push(fn);
  }

  onRestored(fn: () => void): void {
    this.#restoredListeners.push(fn);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#reader?.stop();
    this.#subscriptions.close();
    if (this.connection.isClosed()) return;
    // Draining needs the server.
    if (this.#connected) await this.connection.drain().catch(() => this.connection.close());
    else await this.connection.close();
  }

  async #watchStatus(): Promise<void> {
    for await (const { type, data, permissionContext: refused } of this.connection.status()) {
      if (type === Events.Disconnect) this.#onDisconnect(String(data));
      else if (type === Events.Reconnect) this.#onReconnect(String(data));
      else if (type === Events.Error && refused?.operation === 'subscription') this.#onRefused(refused);
      else if (type === Events.Error) this.#onError(lastServerError(this.connection) ?? String(data));
    }
  }

  /** The client closes the connection only when it cannot go on. Then the process ends, so that it is restarted. */
  async #watchEnd(): Promise<void> {
    const error = await this.connection.closed();
    this.#connected = false;
    this.#metrics.connected.set(this.#label, 0);
    if (this.#closing) return;
    this.#health.set(this.#healthPart, 'connection closed');
    setImmediate(() => {
      throw new Error('the NATS client closed the connection and does not reconnect', { cause: error });
    });
  }

  #onDisconnect(server: string): void {
    if (!this.#connected || this.#closing) return;
    this.#connected = false;
    this.#metrics.connected.set(this.#label, 0);
    this.#metrics.losses.inc();
    this.#health.set(this.#healthPart, `connection to ${server} lost`);
    this.#log.warn({ event: 'nats_disconnected', server }, 'nats disconnected, retrying');
    this.#notify(this.#lostListeners);
  }

  #onReconnect(server: string): void {
    if (this.#connected || this.#closing) return;
    this.#connected = true;
    this.#reader?.reconnected();
    this.#metrics.connected.set(this.#label, 1);
    this.#health.set(this.#healthPart, undefined);
    this.#log.info({ event: 'nats_reconnected', server }, 'nats reconnected');
    this.#notify(this.#restoredListeners);
  }

  #onRefused({ subject, queue }: { subject: string; queue?: string | undefined }): void {
    this.#metrics.errors.inc({ kind: 'permission' });
    if (this.#subscriptions.refused(subject, queue)) return;
    const problem = `subscription to ${subject} refused`;
    this.#limited.error('nats permission', { event: 'nats_error', problem }, 'nats reported an error');
  }

  #onError(problem: string): void {
    const kind = errorKind(problem);
    this.#metrics.errors.inc({ kind });
    // While disconnected each try may fail in another way; the loss is already logged.
    if (!this.#connected) this.#health.set(this.#healthPart, `reconnect failed: ${problem}`);
    else this.#limited.error(`nats ${kind}`, { event: 'nats_error', problem }, 'nats reported an error');
  }

  #notify(listeners: readonly (() => void)[]): void {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        this.#log.error(
          { event: 'nats_listener_failed', err: error },
          'listener of the nats connection failed',
        );
      }
    }
  }
}

function headersOf(headers: Headers): MsgHdrs {
  const result = createHeaders();
  for (const [name, value] of Object.entries(headers)) result.set(name, value);
  return result;
}
