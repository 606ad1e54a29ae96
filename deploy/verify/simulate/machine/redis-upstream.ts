import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { encodeCommand, valueEnd } from './resp.ts';

/** The one connection to the real Redis: every command of a simulation goes through it, so their order is the order here. */
export class RedisUpstream {
  readonly #socket: Socket;
  #waiting: { count: number; resolve(replies: Buffer[]): void; reject(error: Error): void } | undefined;
  #data: Buffer = Buffer.alloc(0);
  #from = 0;
  #replies: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.#received(data));
    socket.on('close', () => this.#waiting?.reject(new Error('redis-server closed the connection')));
    socket.on('error', () => undefined); // `close` follows
  }

  /** Connects over the real network: before a simulation replaces it. */
  static async connect(port: number): Promise<RedisUpstream> {
    const socket = createConnection(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RedisUpstream(socket);
  }

  /**
   * Sends commands in one packet.
   *
   * @returns their replies, as bytes
   */
  async send(commands: readonly Buffer[]): Promise<Buffer[]> {
    if (this.#waiting !== undefined) throw new Error('redis upstream: one packet at a time');
    const replies = new Promise<Buffer[]>((resolve, reject) => {
      this.#waiting = { count: commands.length, resolve, reject };
    });
    this.#socket.write(Buffer.concat(commands));
    return replies;
  }

  /**
   * Runs a command of the simulation itself.
   *
   * @throws Error with what Redis replied, if that is an error
   */
  async execute(...args: string[]): Promise<string> {
    const [reply] = await this.send([encodeCommand(args)]);
    const text = String(reply);
    if (text.startsWith('-')) throw new Error(`${args[0]}: ${text.slice(1).trim()}`);
    return text;
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(data: Buffer): void {
    this.#data = this.#data.length === 0 ? data : Buffer.concat([this.#data, data]);
    const { count } = this.#waiting ?? { count: 0 };
    while (this.#replies.length < count && this.#from < this.#data.length) {
      const end = valueEnd(this.#data, this.#from);
      if (end === -1) return;
      this.#replies.push(this.#data.subarray(this.#from, end));
      this.#from = end;
    }
    if (this.#replies.length < count) return;
    const { resolve } = this.#waiting as { resolve(replies: Buffer[]): void };
    const replies = this.#replies;
    [this.#waiting, this.#replies, this.#data, this.#from] = [undefined, [], Buffer.alloc(0), 0];
    resolve(replies);
  }
}
