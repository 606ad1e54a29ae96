import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** How a proxy treats its connections. */
export type ProxyMode =
  | { kind: 'open' }
  /** Every byte is delayed by `delayMs`, each way. */
  | { kind: 'slow'; delayMs: number }
  /** No byte passes, and the connections stay open. */
  | { kind: 'stalled' }
  /** New connections are reset at once. */
  | { kind: 'closed' }
  /** A new client gets this text as the reply to its first bytes; the server gets nothing. */
  | { kind: 'replies'; text: string };

const OPEN: ProxyMode = { kind: 'open' };

/**
 * A TCP proxy on a loopback port whose connections can be slowed, stalled or cut. Bytes in flight are lost when a
 * connection ends, as on a network whose host has given up.
 */
export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #links = new Set<Link>();
  /** How many connections have ended. */
  ended = 0;
  #mode: ProxyMode = OPEN;

  private constructor(server: Server, target: number, port: number) {
    this.#server = server;
    this.#target = target;
    this.port = port;
  }

  /** @param target port of the server on the loopback */
  static async start(target: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('proxy: has no port');
    const proxy = new TcpProxy(server, target, address.port);
    server.on('connection', (client) => proxy.#connected(client));
    return proxy;
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  /** Applies to present and future connections. */
  set mode(mode: ProxyMode) {
    this.#mode = mode;
    for (const link of this.#links) link.modeChanged();
  }

  /** Ends every connection after at most `afterBytes` more bytes, in the middle of a message. */
  cut(afterBytes = 0): void {
    for (const link of this.#links) link.cutAfter(afterBytes);
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.end();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connected(client: Socket): void {
    client.on('error', () => undefined); // 'close' follows
    const { mode } = this;
    if (mode.kind === 'closed') {
      client.resetAndDestroy();
      return;
    }
    if (mode.kind === 'replies') {
      client.once('data', () => client.end(mode.text));
      return;
    }
    const link = new Link(
      client,
      createConnection({ port: this.#target, host: '127.0.0.1', noDelay: true }),
      () => this.#mode,
    );
    this.#links.add(link);
    link.onEnd = () => {
      this.#links.delete(link);
      this.ended++;
    };
  }
}

/** One client's connection, both directions. */
class Link {
  onEnd: () => void = () => undefined;
  readonly #sides: readonly [Socket, Socket];
  readonly #pipes: readonly [Pipe, Pipe];
  #ended = false;

  constructor(client: Socket, server: Socket, mode: () => ProxyMode) {
    this.#sides = [client, server];
    this.#pipes = [
      new Pipe(client, server, mode, () => this.end()),
      new Pipe(server, client, mode, () => this.end()),
    ];
    for (const side of this.#sides) {
      side.on('error', () => undefined); // 'close' follows
      side.on('close', () => this.end('after pending bytes'));
    }
  }

  modeChanged(): void {
    for (const pipe of this.#pipes) pipe.forward();
  }

  cutAfter(bytes: number): void {
    if (bytes === 0) this.end();
    else for (const pipe of this.#pipes) pipe.left = bytes;
  }

  end(how: 'at once' | 'after pending bytes' = 'at once'): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const pipe of this.#pipes) pipe.drop();
    for (const side of this.#sides) {
      if (how === 'at once') side.resetAndDestroy();
      else side.destroySoon();
    }
    this.onEnd();
  }
}

/** With more pending bytes than this, the proxy stops reading from the sender. */
const MAX_PENDING = 4 << 20;

/** One direction. In mode `open` bytes pass straight through, unless older ones are pending. */
class Pipe {
  /** How many more bytes pass before the cut. */
  left = Number.POSITIVE_INFINITY;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #mode: () => ProxyMode;
  readonly #cut: () => void;
  #pending: { atMs: number; data: Buffer }[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, mode: () => ProxyMode, cut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#mode = mode;
    this.#cut = cut;
    from.on('data', (data: Buffer) => this.#receive(data));
    to.on('drain', () => from.resume());
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#pending = [];
  }

  /** Forwards the pending bytes that are due. */
  forward(): void {
    clearTimeout(this.#timer);
    const mode = this.#mode();
    if (mode.kind === 'stalled') return;
    const delayMs = mode.kind === 'slow' ? mode.delayMs : 0;
    const nowMs = performance.now();
    while (this.#pending.length > 0) {
      const [first] = this.#pending as [{ atMs: number; data: Buffer }];
      const waitMs = first.atMs + delayMs - nowMs;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.forward(), waitMs);
        return;
      }
      this.#pending.shift();
      this.#bytes -= first.data.length;
      this.#send(first.data);
    }
    if (this.#bytes < MAX_PENDING) this.#from.resume();
  }

  #receive(data: Buffer): void {
    const { kind } = this.#mode();
    if (this.#pending.length === 0 && kind !== 'slow' && kind !== 'stalled') {
      this.#send(data);
      return;
    }
    this.#pending.push({ atMs: performance.now(), data });
    this.#bytes += data.length;
    if (this.#bytes > MAX_PENDING) this.#from.pause();
    this.forward();
  }

  #send(data: Buffer): void {
    if (data.length >= this.left) {
      this.#to.write(data.subarray(0, this.left), () => this.#cut());
      this.left = 0;
      return;
    }
    this.left -= data.length;
    if (!this.#to.write(data)) this.#from.pause();
  }
}
