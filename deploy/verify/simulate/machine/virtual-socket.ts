import { Socket } from 'node:net';
import type { Host } from './host.ts';
import { real, type VirtualTime } from './virtual-time.ts';

/** The other end of a connection. */
export interface FarEnd {
  received(data: Buffer): void;
  closed(): void;
}

/** How a host reaches a port: `held` keeps everything on its way, in both directions. */
export type Link = 'open' | 'held' | 'closed';

interface Options {
  time: VirtualTime;
  /** The host whose code has this socket. */
  host: Host;
  link: Link;
}

/** A `net.Socket` without a network: what is written goes to `farEnd`, and `deliver` is what comes from there. */
export class VirtualSocket extends Socket {
  readonly host: Host;
  readonly #time: VirtualTime;
  readonly #waiting: { incoming: (() => void)[]; outgoing: (() => void)[] } = { incoming: [], outgoing: [] };
  readonly #stopListening: () => void;
  #link: Link;
  #farEnd: FarEnd | undefined;
  #idle: NodeJS.Timeout | undefined;
  #ended = false;
  /** It was connected in this turn of the event loop. */
  #isNew = false;

  constructor({ time, host, link }: Options) {
    super();
    this.#time = time;
    this.host = host;
    this.#link = link;
    this.#stopListening = host.onChange(() => {
      if (host.isDead) this.#end();
      else this.#flush();
    });
    (this as { connecting: boolean }).connecting = true;
  }

  /** The connection is established with this far end. */
  established(farEnd: FarEnd): void {
    this.#incoming(() => {
      this.#farEnd = farEnd;
      (this as { connecting: boolean }).connecting = false;
      this.emit('connect');
      this.emit('ready');
      // In Node nothing else arrives before the code that waits for the connection has run and listens for errors.
      this.#isNew = true;
      real.setImmediate(() => {
        this.#isNew = false;
        this.#flush();
      });
      this.#flush();
    });
  }

  /** Data from the far end. */
  deliver(data: Buffer): void {
    this.#incoming(() => {
      this.#idle?.refresh();
      this.push(data);
    });
  }

  /** The far end has closed the connection, or refuses it. */
  farEndClosed(code?: 'ECONNREFUSED' | 'ECONNRESET'): void {
    this.#incoming(() => {
      const error = code === undefined ? undefined : Object.assign(new Error(code), { code });
      this.destroy(error);
    });
  }

  set link(link: Link) {
    this.#link = link;
    if (link === 'closed') this.farEndClosed('ECONNRESET');
    this.#flush();
  }

  override connect(): this {
    throw new Error('VirtualSocket: it is connected when it is made');
  }

  override setTimeout(ms: number, callback?: () => void): this {
    if (this.#idle !== undefined) clearTimeout(this.#idle);
    this.#idle = undefined;
    if (ms > 0 && !this.destroyed) {
      if (callback !== undefined) this.once('timeout', callback);
      this.#idle = setTimeout(() => this.emit('timeout'), ms);
    } else if (callback !== undefined) this.off('timeout', callback);
    return this;
  }

  override setNoDelay(): this {
    return this;
  }

  override setKeepAlive(): this {
    return this;
  }

  override ref(): this {
    return this;
  }

  override unref(): this {
    return this;
  }

  override resetAndDestroy(): this {
    return this.destroy();
  }

  override _read(): void {
    // `deliver` pushes.
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: () => void): void {
    const data = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    this.#idle?.refresh();
    this.#outgoing(() => this.#farEnd?.received(data));
    done();
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: () => void): void {
    const all = chunks.map(({ chunk, encoding }) =>
      typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
    );
    this._write(Buffer.concat(all), 'utf8', done);
  }

  override _final(done: () => void): void {
    this.#end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    (this as { connecting: boolean }).connecting = false;
    this.#end();
    this.push(null);
    done(error);
    this.host.within(() => process.nextTick(() => this.emit('close', error !== null)));
  }

  /**
   * Nothing arrives any more, and the far end is told. On a held link what a killed process wrote before still leaves when the link is
   * released, as from the system's buffers; a process that closes its connection there abandons it.
   */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopListening();
    if (this.#idle !== undefined) clearTimeout(this.#idle);
    this.#waiting.incoming = [];
    if (this.host.isDead && this.#link !== 'held') this.#farEnd?.closed();
    else this.#outgoing(() => this.#farEnd?.closed());
  }

  #incoming(event: () => void): void {
    if (this.#ended) return;
    this.#waiting.incoming.push(event);
    this.#flush();
  }

  #outgoing(event: () => void): void {
    this.#waiting.outgoing.push(event);
    this.#flush();
  }

  #flush(): void {
    const { incoming, outgoing } = this.#waiting;
    while (outgoing.length > 0 && this.#link !== 'held' && this.#farEnd !== undefined) outgoing.shift()?.();
    while (
      incoming.length > 0 &&
      !this.#isNew &&
      !this.#ended &&
      this.host.isRunning &&
      this.#link !== 'held'
    ) {
      const event = incoming.shift() as () => void;
      this.host.within(event);
      this.#time.noteActivity();
    }
  }
}
