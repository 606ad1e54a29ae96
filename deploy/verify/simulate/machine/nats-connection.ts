import type { Host } from './host.ts';
import type { VirtualSocket } from './virtual-socket.ts';

export interface NatsMessage {
  subject: string;
  reply?: string | undefined;
  /** With the line `NATS/1.0`. */
  headers?: Buffer;
  payload: Buffer;
}

export interface Subscription {
  sid: string;
  subject: string;
  queue: string | undefined;
  /** It ends after so many messages. */
  left: number;
}

interface Listener {
  publish(message: NatsMessage): void;
  close(): void;
  /** Whether the host may not subscribe it. */
  isDenied(subject: string): boolean;
}

const EMPTY = Buffer.alloc(0);

/** A client's connection as the server has it: it parses what the client sends. */
export class NatsConnection {
  readonly #socket: VirtualSocket;
  readonly #listener: Listener;
  readonly #subscriptions = new Map<string, Subscription>();
  #rest: Buffer = EMPTY;
  #wantsNoResponders = false;

  constructor(socket: VirtualSocket, listener: Listener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  get host(): Host {
    return this.#socket.host;
  }

  get wantsNoResponders(): boolean {
    return this.#wantsNoResponders;
  }

  matching(subject: string): Subscription[] {
    return [...this.#subscriptions.values()].filter((subscription) => matches(subscription.subject, subject));
  }

  write(data: string | Buffer): void {
    this.#socket.deliver(typeof data === 'string' ? Buffer.from(data) : data);
  }

  deliver({ subject, reply, headers, payload }: NatsMessage, subscription: Subscription): void {
    const { sid } = subscription;
    if (--subscription.left <= 0) this.#subscriptions.delete(sid);
    const to = reply === undefined ? `${subject} ${sid}` : `${subject} ${sid} ${reply}`;
    const line =
      headers === undefined
        ? `MSG ${to} ${payload.length}\r\n`
        : `HMSG ${to} ${headers.length} ${headers.length + payload.length}\r\n`;
    this.write(Buffer.concat([Buffer.from(line), headers ?? EMPTY, payload, Buffer.from('\r\n')]));
  }

  received(data: Buffer): void {
    const all = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    let at = 0;
    for (;;) {
      const end = all.indexOf('\r\n', at);
      if (end === -1) break;
      const [verb = '', ...args] = all.toString('utf8', at, end).split(/\s+/);
      const size = /^H?PUB$/i.test(verb) ? Number(args.at(-1)) : undefined;
      const next = end + 2 + (size === undefined ? 0 : size + 2);
      if (next > all.length) break;
      const body = size === undefined ? EMPTY : all.subarray(end + 2, end + 2 + size);
      this.#handle(verb.toUpperCase(), args, body, all.toString('utf8', at, end));
      at = next;
    }
    this.#rest = Buffer.from(all.subarray(at));
  }

  reset(): void {
    this.close();
    this.#socket.farEndClosed('ECONNRESET');
  }

  /** Ends the subscriptions that are denied now. */
  endDenied(): void {
    for (const subscription of [...this.#subscriptions.values()]) {
      if (!this.#listener.isDenied(subscription.subject)) continue;
      this.#subscriptions.delete(subscription.sid);
      this.#deny(subscription);
    }
  }

  close(): void {
    this.#subscriptions.clear();
    this.#listener.close();
  }

  #handle(verb: string, args: string[], body: Buffer, line: string): void {
    switch (verb) {
      case 'CONNECT':
        this.#wantsNoResponders =
          (JSON.parse(line.slice(line.indexOf('{'))) as { no_responders?: boolean }).no_responders === true;
        return;
      case 'PING':
        this.write('PONG\r\n');
        return;
      case 'PONG':
      case '':
        return;
      case 'SUB': {
        const [subject = '', ...rest] = args;
        const sid = rest.at(-1) as string;
        const queue = rest.length > 1 ? rest[0] : undefined;
        const subscription = { sid, subject, queue, left: Number.POSITIVE_INFINITY };
        if (this.#listener.isDenied(subject)) this.#deny(subscription);
        else this.#subscriptions.set(sid, subscription);
        return;
      }
      case 'UNSUB': {
        const subscription = this.#subscriptions.get(args[0] as string);
        if (subscription === undefined) return;
        if (args[1] === undefined) this.#subscriptions.delete(subscription.sid);
        else subscription.left = Number(args[1]);
        return;
      }
      case 'PUB':
        this.#publish(args, 1, { payload: body });
        return;
      case 'HPUB': {
        const headerSize = Number(args.at(-2));
        this.#publish(args, 2, {
          headers: body.subarray(0, headerSize),
          payload: body.subarray(headerSize),
        });
        return;
      }
      default:
        throw new Error(
          `virtual nats-server: expected a verb of the protocol, found ${JSON.stringify(line)}`,
        );
    }
  }

  #deny({ subject, queue }: Subscription): void {
    const group = queue === undefined ? '' : ` using queue "${queue}"`;
    this.write(`-ERR 'Permissions Violation for Subscription to "${subject}"${group}'\r\n`);
  }

  /** @param sizes how many numbers end the line */
  #publish(args: string[], sizes: number, content: Pick<NatsMessage, 'headers' | 'payload'>): void {
    const [subject = '', reply] = args.slice(0, args.length - sizes);
    this.#listener.publish({ subject, reply, ...content });
  }
}

/** Whether a subject matches a pattern: `*` stands for one token, `>` for all that follow. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const [parts, tokens] = [pattern.split('.'), subject.split('.')];
  for (const [at, part] of parts.entries()) {
    if (part === '>') return tokens.length > at;
    if (tokens[at] === undefined || (part !== '*' && part !== tokens[at])) return false;
  }
  return parts.length === tokens.length;
}
