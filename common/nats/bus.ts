/**
 * The connection to NATS (core, no JetStream).
 *
 * States: connecting (until a server is there, for ever) -> connected <-> lost -> closed. A loss and a return
 * are each said once. While it is lost nothing is published: what was decided before an outage is to be
 * decided anew after it, not to be sent late.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  connect,
  headers as createHeaders,
  Events,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from 'nats';
import type { Registry } from 'prom-client';
import type { MbusSettings } from '../config/settings.ts';
import { subjectLabel } from '../messages/subjects.ts';
import type { Health } from '../runtime/health.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../runtime/log.ts';
import { type BusMetrics, busMetrics } from '../runtime/metrics.ts';
import { BatchedReader } from './batched-reader.ts';
import { abandon, BusError, busError, errorText, kindOf, lastServerError, socketOf } from './bus-errors.ts';
import { connectionOptions, retryWaitMs } from './bus-options.ts';

export type { Msg, Subscription } from 'nats';
export { BusError } from './bus-errors.ts';

export type Handler = (message: Msg) => unknown;
export type Headers = Readonly<Record<string, string>>;

export interface Bus {
  readonly connection: NatsConnection;
  connected(): boolean;
  /**
   * Subscribes, over all reconnects. With a `queue`, of all that subscribe with the same one gets each message.
   * What a handler throws, or a promise of it rejects with, is logged and counted.
   */
  subscribe(subject: string, options: { queue?: string }, handler: Handler): Subscription;
  /** @throws BusError `disconnected` */
  publish(subject: string, data?: string | Uint8Array, headers?: Headers): void;
  /** @throws BusError */
  request(subject: string, data: string | Uint8Array, options: { timeoutMs: number }): Promise<Msg>;
  /** Whether anybody is subscribed there: false only when the server says that nobody is. */
  answers(subject: string): Promise<boolean>;
  /** A round trip to the server: all that was published before has arrived. @throws BusError */
  flush(): Promise<void>;
  /** For how long what is handed over now may have waited on a connection that is read every so often (ms). */
  readLagMs(): number;
  /** Gives the connection up with all that still waits in it, so that it does not arrive late; a new one is made. */
  abandon(): void;
  onLost(fn: () => void): void;
  onRestored(fn: () => void): void;
  /** Lets handlers finish what has come, sends what is to be sent, and closes. */
  close(): Promise<void>;
}

/** A connection beside a process's usual one, for some messages. */
export interface DedicatedConnection {
  /** What messages, in a word. */
  name: string;
  /** What comes is read so often (ms) instead of as it comes; see `Gathering`. */
  readEveryMs: number;
}

export interface BusOptions {
  mbus: MbusSettings;
  /** Of this client, for who looks at the server's connections. */
  name: string;
  log: Logger;
  health: Health;
  /** Closes the bus at its stop, and ends the wait for a server. */
  lifecycle: Lifecycle;
  metrics: Registry;
  /** If it is not the process's usual one. */
  dedicated?: DedicatedConnection | undefined;
}

const ANSWERS_WITHIN_MS = 1_000;

/**
 * Connects; waits for a server that is away, and says so once.
 *
 * @throws BusError `disconnected` when the lifecycle stops before
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { health, lifecycle, mbus, dedicated } = options;
  const servers = mbus.servers.join(', ');
  const part = partOf(dedicated);
  const log = dedicated === undefined ? options.log : options.log.child({ connection: dedicated.name });
  const name = dedicated === undefined ? options.name : `${options.name} ${dedicated.name}`;
  health.set(part, 'not connected yet');
  busMetrics(options.metrics).connected.set({ connection: labelOf(dedicated) }, 0);
  let said = false;
  while (!lifecycle.stopping) {
    try {
      const bus = new NatsBus(await connect(connectionOptions(mbus, name)), { ...options, log });
      log.info({ event: 'nats_connected', server: bus.connection.getServer() }, 'connected to NATS');
      return lifecycle.own(part, bus, (owned) => owned.close());
    } catch (error) {
      const problem = errorText(error);
      health.set(part, `${servers}: ${problem}`);
      if (!said)
        log.warn(
          { event: 'nats_disconnected', servers, problem },
          'NATS is not to be reached; retrying until it is',
        );
      said = true;
    }
    await delay(retryWaitMs(), undefined, { signal: lifecycle.signal }).catch(() => undefined); // Aborted: the loop ends.
  }
  throw new BusError('disconnected', 'stopped before a NATS server was there');
}

/** In `/readyz`, and among what a process stops. */
const partOf = (own: DedicatedConnection | undefined): string =>
  own === undefined ? 'nats' : `nats (${own.name})`;
const labelOf = (own: DedicatedConnection | undefined): string => own?.name ?? 'messages';

class NatsBus implements Bus {
  readonly connection: NatsConnection;
  readonly #log: Logger;
  readonly #limited: RateLimitedLog;
  readonly #health: Health;
  readonly #metrics: BusMetrics;
  readonly #part: string;
  readonly #label: { connection: string };
  readonly #gathering: BatchedReader | undefined;
  readonly #lost: (() => void)[] = [];
  readonly #restored: (() => void)[] = [];
  #connected = true;
  #nextFlush: Promise<void> | undefined;
  #closing = false;

  constructor(connection: NatsConnection, { log, health, metrics, dedicated }: BusOptions) {
    this.connection = connection;
    this.#log = log;
    this.#limited = createRateLimit(log);
    this.#health = health;
    this.#metrics = busMetrics(metrics);
    this.#part = partOf(dedicated);
    this.#label = { connection: labelOf(dedicated) };
    this.#metrics.connected.set(this.#label, 1);
    health.set(this.#part, undefined);
    void this.#watch();
    void this.#watchEnd();
    if (dedicated === undefined) return;
    const socket = () => (this.connected() ? socketOf(connection) : undefined);
    this.#gathering = new BatchedReader({ socket, flush: () => connection.flush() }, dedicated.readEveryMs);
  }

  connected(): boolean {
    return this.#connected && !this.connection.isClosed();
  }

  subscribe(subject: string, options: { queue?: string }, handler: Handler): Subscription {
    return this.connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error !== null)
          this.#limited.error(
            'subscription',
            { subject, problem: error.message },
            'NATS refused a subscription',
          );
        else this.#handle(subject, handler, message);
      },
    });
  }

  #handle(subject: string, handler: Handler, message: Msg): void {
    const failed = (error: unknown) => {
      this.#metrics.handlerErrors.inc({ subject: subjectLabel(subject) });
      this.#limited.error(`handler of ${subject}`, { subject, err: error }, 'a message could not be handled');
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
    // A string would go through TextEncoder, which takes half as long again as this for messages of our size.
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      this.connection.publish(subject, bytes, headers === undefined ? {} : { headers: headersOf(headers) });
    } catch (cause) {
      throw busError(subject, cause);
    }
  }

  async request(
    subject: string,
    data: string | Uint8Array,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Msg> {
    if (!this.connected()) throw new BusError('disconnected', `${subject}: not connected to NATS`);
    try {
      return await this.#answered(() => this.connection.request(subject, data, { timeout: timeoutMs }));
    } catch (cause) {
      throw busError(subject, cause);
    }
  }

  async answers(subject: string): Promise<boolean> {
    try {
      await this.request(subject, '', { timeoutMs: ANSWERS_WITHIN_MS });
    } catch (error) {
      if (error instanceof BusError) return error.kind !== 'no_responders';
      throw error;
    }
    return true;
  }

  /** All who ask in one turn of the event loop share one round trip. */
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
      await this.#answered(() => this.connection.flush());
    } catch (cause) {
      throw busError('flush', cause);
    }
  }

  readLagMs(): number {
    return this.#gathering?.readLagMs() ?? 0;
  }

  #answered<T>(asked: () => Promise<T>): Promise<T> {
    return this.#gathering === undefined ? asked() : this.#gathering.readWhile(asked);
  }

  abandon(): void {
    abandon(this.connection);
  }

  onLost(fn: () => void): void {
    this.#lost.push(fn);
  }

  onRestored(fn: () => void): void {
    this.#restored.push(fn);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#gathering?.stop();
    if (this.connection.isClosed()) return;
    // Draining needs the server; without one there is nothing to wait for.
    if (this.#connected) await this.connection.drain().catch(() => this.connection.close());
    else await this.connection.close();
  }

  async #watch(): Promise<void> {
    for await (const { type, data } of this.connection.status()) {
      if (type === Events.Disconnect) this.#onDisconnect(String(data));
      else if (type === Events.Reconnect) this.#onReconnect(String(data));
      else if (type === Events.Error) this.#onError(lastServerError(this.connection) ?? String(data));
    }
  }

  /** The client gives up only where it cannot go on; then neither can the process: it is to be started anew. */
  async #watchEnd(): Promise<void> {
    const error = await this.connection.closed();
    this.#connected = false;
    this.#metrics.connected.set(this.#label, 0);
    if (this.#closing) return;
    this.#health.set(this.#part, 'connection closed');
    setImmediate(() => {
      throw new Error('the NATS client gave up', { cause: error });
    });
  }

  #onDisconnect(server: string): void {
    if (!this.#connected || this.#closing) return;
    this.#connected = false;
    this.#metrics.connected.set(this.#label, 0);
    this.#metrics.losses.inc();
    this.#health.set(this.#part, `connection to ${server} lost`);
    this.#log.warn({ event: 'nats_disconnected', server }, 'NATS is away; retrying until it is back');
    this.#tell(this.#lost);
  }

  #onReconnect(server: string): void {
    if (this.#connected || this.#closing) return;
    this.#connected = true;
    this.#gathering?.reconnected();
    this.#metrics.connected.set(this.#label, 1);
    this.#health.set(this.#part, undefined);
    this.#log.info({ event: 'nats_reconnected', server }, 'NATS is back');
    this.#tell(this.#restored);
  }

  #onError(problem: string): void {
    const kind = kindOf(problem);
    this.#metrics.errors.inc({ kind });
    // While it is away, each try to come back may fail in its own way; the loss has been said.
    if (this.#connected) this.#limited.error(`nats ${kind}`, { problem }, 'NATS reported an error');
  }

  #tell(listeners: readonly (() => void)[]): void {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ err: error }, 'a listener to the state of the NATS connection failed');
      }
    }
  }
}

function headersOf(headers: Headers): MsgHdrs {
  const result = createHeaders();
  for (const [name, value] of Object.entries(headers)) result.set(name, value);
  return result;
}
