import type { Socket } from 'node:net';

/** What a connection is read by. */
export interface BatchedConnection {
  /** As it is now; `undefined` while it is not connected. */
  socket(): Socket | undefined;
  /** A round trip to the server: what it had for us before has been handed over. */
  flush(): Promise<void>;
}

/**
 * Reads a connection in gulps: what comes waits in the system, and is read together every so often.
 *
 * Whoever waits for a socket is woken for nearly each message, and the server that wakes it pays for that, too. A gulp ends
 * with the answer of the server to a question that was asked at its beginning: so it is known how far all has been read.
 */
export class BatchedReader {
  readonly #connection: BatchedConnection;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #awaited = 0;
  #stopped = false;
  /** What the server had for us before has been read (ms on this process's monotonic clock). */
  #readMs = performance.now();

  /** @param everyMs what comes waits for so long, and for a round trip */
  constructor(connection: BatchedConnection, everyMs: number) {
    this.#connection = connection;
    this.#everyMs = everyMs;
    void this.#gulp();
  }

  /** For how long what is handed over now may have waited to be read (ms). */
  readLagMs(): number {
    return performance.now() - this.#readMs;
  }

  /** An answer of the server is waited for: what comes is read at once until it is there. */
  async readWhile<T>(answer: () => Promise<T>): Promise<T> {
    const askedMs = performance.now();
    this.#awaited++;
    this.#connection.socket()?.resume();
    try {
      const answered = await answer();
      this.#readMs = Math.max(this.#readMs, askedMs);
      return answered;
    } finally {
      this.#awaited--;
      if (this.#awaited === 0 && !this.#stopped) this.#connection.socket()?.pause();
    }
  }

  /** It is another connection now: what waited in the one before is lost. */
  reconnected(): void {
    this.#readMs = performance.now();
  }

  /** Reads all as it comes, from now on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#connection.socket()?.resume();
  }

  async #gulp(): Promise<void> {
    const beganMs = performance.now();
    if (this.#connection.socket() !== undefined) {
      await this.readWhile(() => this.#connection.flush()).catch(() => undefined); // lost meanwhile
    }
    if (this.#stopped) return;
    const leftMs = beganMs + this.#everyMs - performance.now();
    this.#timer = setTimeout(() => this.#gulp(), Math.max(0, leftMs));
  }
}
