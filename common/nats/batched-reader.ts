import type { Socket } from 'node:net';

/** The connection that a `BatchedReader` reads. */
export interface BatchedConnection {
  /** The current socket; `undefined` while disconnected. */
  socket(): Socket | undefined;
  /** A round trip to the server: everything that the server sent before its reply has been handed over. */
  flush(): Promise<void>;
}

/**
 * Pauses the socket and reads it in batches. Each batch ends with the PONG to a PING sent at its start, so everything the
 * server sent before the PING has been read.
 *
 * Why: a process that waits for a socket is woken for nearly each message, and that also costs the server that wakes it.
 */
export class BatchedReader {
  readonly #connection: BatchedConnection;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #pendingReplies = 0;
  #stopped = false;
  /** Everything that the server sent before this time has been read (ms on this process's monotonic clock). */
  #readUntilMs = performance.now();

  /** @param everyMs time between two batches; a message waits at most this long, plus a round trip */
  constructor(connection: BatchedConnection, everyMs: number) {
    this.#connection = connection;
    this.#everyMs = everyMs;
    void this.#readBatch();
  }

  /** How long a message that is handed over now may have waited to be read (ms). */
  readLagMs(): number {
    return performance.now() - this.#readUntilMs;
  }

  /** Reads the socket at once until the server's reply is there. */
  async readWhile<T>(reply: () => Promise<T>): Promise<T> {
    const sentMs = performance.now();
    this.#pendingReplies++;
    this.#connection.socket()?.resume();
    try {
      const result = await reply();
      this.#readUntilMs = Math.max(this.#readUntilMs, sentMs);
      return result;
    } finally {
      this.#pendingReplies--;
      if (this.#pendingReplies === 0 && !this.#stopped) this.#connection.socket()?.pause();
    }
  }

  /** The connection has a new socket; what waited in the old one is lost. */
  reconnected(): void {
    this.#readUntilMs = performance.now();
  }

  /** Ends the batches: from now on everything is read as it comes. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#connection.socket()?.resume();
  }

  async #readBatch(): Promise<void> {
    const beganMs = performance.now();
    if (this.#connection.socket() !== undefined) {
      await this.readWhile(() => this.#connection.flush()).catch(() => undefined); // disconnected meanwhile
    }
    if (this.#stopped) return;
    const leftMs = beganMs + this.#everyMs - performance.now();
    this.#timer = setTimeout(() => this.#readBatch(), Math.max(0, leftMs));
  }
}
