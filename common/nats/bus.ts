import type { Msg, NatsConnection } from 'nats';
import type { BusSubscription } from './subscriptions.ts';

export type { Msg } from 'nats';
export { BusError } from './bus-errors.ts';
export type { BusSubscription } from './subscriptions.ts';

export type Handler = (message: Msg) => unknown;
export type Headers = Readonly<Record<string, string>>;

export interface Bus {
  readonly connection: NatsConnection;
  connected(): boolean;
  /**
   * Subscribes; the subscription survives reconnects, and is retried while the server refuses it. Of all subscribers with the same `queue` one gets each message.
   * An error that a handler throws, or rejects with, is logged and counted.
   */
  subscribe(subject: string, options: { queue?: string }, handler: Handler): BusSubscription;
  /** @throws BusError `disconnected` */
  publish(subject: string, data?: string | Uint8Array, headers?: Headers): void;
  /**
   * Publishes several messages on one subject for a fraction of the cost of single ones.
   *
   * @returns the positions of those that exceed the server's `max_payload`: they are left out
   * @throws BusError `disconnected`
   */
  publishAll(subject: string, texts: readonly string[]): number[];
  /** @throws BusError */
  request(subject: string, data: string | Uint8Array, options: { timeoutMs: number }): Promise<Msg>;
  /** Whether the subject has a subscriber: false only when the server reports within that time that it has none. */
  answers(subject: string, options: { timeoutMs: number }): Promise<boolean>;
  /** A round trip to the server: everything published before has reached it. @throws BusError */
  flush(): Promise<void>;
  /** How long a message that is handed over now may have waited in a connection that is read in batches (ms). */
  readLagMs(): number;
  /** Drops the connection with everything that still waits in it, so that nothing arrives late; then reconnects. */
  abandon(): void;
  onLost(fn: () => void): void;
  onRestored(fn: () => void): void;
  /** Hands over what was received, sends what was published, and closes. */
  close(): Promise<void>;
}
