import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** How the way between a client and its server is now. */
export type Way =
  | { kind: 'open' }
  /** Every byte takes so long, each way. */
  | { kind: 'slow'; delayMs: number }
  /** Nothing gets through, and nobody is told. */
  | { kind: 'stalled' }
  /** New connections are ended at once. */
  | { kind: 'closed' }
  /** Whatever a client says, it gets this, and the server nothing. */
  | { kind: 'answers'; text: string };

const OPEN: Way = { kind: 'open' };

/**
 * A TCP proxy on a loopback port whose way can be made slow, stalled or cut. What was under way when a connection
 * ends is lost, as with a network whose host has given up.
 */
export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #links = new Set<Link>();
  #way: Way = OPEN;

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

  get way(): Way {
    return this.#way;
  }

  /** For connections that are there as for those that come. */
  set way(way: Way) {
    this.#way = way;
    for (const link of this.#links) link.wayChanged();
  }

  /** Ends all connections, each after at most so many more bytes: in the middle of what is being said. */
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
    const { way } = this;
    if (way.kind === 'closed') {
      client.resetAndDestroy();
      return;
    }
    if (way.kind === 'answers') {
      client.once('data', () => client.end(way.text));
      return;
    }
    const link = new Link(
      client,
      createConnection({ port: this.#target, host: '127.0.0.1', noDelay: true }),
      () => this.#way,
    );
    this.#links.add(link);
    link.onEnd = () => this.#links.delete(link);
  }
}

/** One client's connection, both ways. */
class Link {
  onEnd: () => void = () => undefined;
  readonly #sides: readonly [Socket, Socket];
  readonly #pipes: readonly [Pipe, Pipe];
  #ended = false;

  constructor(client: Socket, server: Socket, way: () => Way) {
    this.#sides = [client, server];
    this.#pipes = [
      new Pipe(client, server, way, () => this.end()),
      new Pipe(server, client, way, () => this.end()),
    ];
    for (const side of this.#sides) {
      side.on('error', () => undefined); // 'close' follows
      side.on('close', () => this.end('after what was said'));
    }
  }

  wayChanged(): void {
    for (const pipe of this.#pipes) pipe.move();
  }

  cutAfter(bytes: number): void {
    if (bytes === 0) this.end();
    else for (const pipe of this.#pipes) pipe.left = bytes;
  }

  end(how: 'at once' | 'after what was said' = 'at once'): void {
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

/** More than this waiting, and the sender is not read any more. */
const WAITING_AT_MOST = 4 << 20;

/** One direction. While the way is open and nothing waits it passes straight through. */
class Pipe {
  /** Bytes until the cut. */
  left = Number.POSITIVE_INFINITY;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #way: () => Way;
  readonly #cut: () => void;
  #waiting: { atMs: number; data: Buffer }[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, way: () => Way, cut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
    this.#cut = cut;
    from.on('data', (data: Buffer) => this.#take(data));
    to.on('drain', () => from.resume());
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  /** Sends on what may go now. */
  move(): void {
    clearTimeout(this.#timer);
    const way = this.#way();
    if (way.kind === 'stalled') return;
    const delayMs = way.kind === 'slow' ? way.delayMs : 0;
    const nowMs = performance.now();
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting as [{ atMs: number; data: Buffer }];
      const waitMs = first.atMs + delayMs - nowMs;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.move(), waitMs);
        return;
      }
      this.#waiting.shift();
      this.#bytes -= first.data.length;
      this.#send(first.data);
    }
    if (this.#bytes < WAITING_AT_MOST) this.#from.resume();
  }

  #take(data: Buffer): void {
    const { kind } = this.#way();
    if (this.#waiting.length === 0 && kind !== 'slow' && kind !== 'stalled') {
      this.#send(data);
      return;
    }
    this.#waiting.push({ atMs: performance.now(), data });
    this.#bytes += data.length;
    if (this.#bytes > WAITING_AT_MOST) this.#from.pause();
    this.move();
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
