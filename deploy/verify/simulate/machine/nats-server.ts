import type { Random } from '../../chaos/random.ts';
import type { Host } from './host.ts';
import { NatsConnection, type NatsMessage, type Subscription } from './nats-connection.ts';
import type { Accept } from './virtual-network.ts';

/** What becomes of one delivery; without a fault it is delivered once. */
export type DeliveryFault = 'lost' | 'twice';

/** What a server announces about itself; the parts of `INFO` that clients use. */
const INFO = {
  server_id: 'SIMULATION',
  server_name: 'simulation',
  version: '2.10.0',
  proto: 1,
  max_payload: 1_048_576,
};
const NO_RESPONDERS = Buffer.from('NATS/1.0 503\r\n\r\n');

/**
 * A NATS server (core) in this process, for clients of the real library: subjects with wildcards, queue groups, headers,
 * "no responders". Which member of a queue group gets a message is drawn. `nats-server.test.ts` runs the same cases on it
 * and on the real one.
 */
export class VirtualNatsServer {
  /** Decides what happens to a delivery. */
  faultOf: (message: NatsMessage, to: Host) => DeliveryFault | undefined = () => undefined;
  /** Without headers, as before release 2.2; applies to connections that begin. */
  hasHeaders = true;
  /** How many messages were delivered. */
  delivered = 0;
  readonly #random: Random;
  readonly #connections = new Set<NatsConnection>();
  #isUp = true;
  #isDenied: (host: Host, subject: string) => boolean = () => false;

  constructor(random: Random) {
    this.#random = random;
  }

  readonly accept: Accept = (socket) => {
    const connection = new NatsConnection(socket, {
      publish: (message) => this.#publish(message, connection),
      close: () => this.#connections.delete(connection),
      isDenied: (subject) => this.#isDenied(socket.host, subject),
    });
    if (!this.#isUp) {
      socket.farEndClosed('ECONNREFUSED');
    } else {
      this.#connections.add(connection);
      connection.write(`INFO ${JSON.stringify({ ...INFO, headers: this.hasHeaders })} \r\n`);
    }
    return { received: (data) => connection.received(data), closed: () => connection.close() };
  };

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Down: connections are refused, and the open ones are reset. */
  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    if (isUp) return;
    for (const connection of [...this.#connections]) connection.reset();
  }

  /** Which subjects a host may not subscribe. Subscriptions that it has end, and it is told so. */
  set isDenied(isDenied: (host: Host, subject: string) => boolean) {
    this.#isDenied = isDenied;
    for (const connection of this.#connections) connection.endDenied();
  }

  #publish(message: NatsMessage, from: NatsConnection): void {
    const groups = new Map<string, [NatsConnection, Subscription][]>();
    let receivers = 0;
    for (const connection of this.#connections) {
      for (const subscription of connection.matching(message.subject)) {
        receivers++;
        const { queue } = subscription;
        if (queue === undefined) {
          this.#deliver(message, connection, subscription);
          continue;
        }
        const members = groups.get(queue) ?? [];
        groups.set(queue, members);
        members.push([connection, subscription]);
      }
    }
    for (const members of groups.values()) this.#deliver(message, ...this.#random.pick(members));
    if (receivers === 0 && message.reply !== undefined && from.wantsNoResponders) {
      const [subscription] = from.matching(message.reply);
      const notice = { subject: message.reply, headers: NO_RESPONDERS, payload: Buffer.alloc(0) };
      if (subscription !== undefined) from.deliver(notice, subscription);
    }
  }

  #deliver(message: NatsMessage, connection: NatsConnection, subscription: Subscription): void {
    const fault = this.faultOf(message, connection.host);
    if (fault === 'lost') return;
    this.delivered++;
    connection.deliver(message, subscription);
    if (fault === 'twice') connection.deliver(message, subscription);
  }
}
