import type { Socket } from 'node:net';

/**
 * Reads a connection in gulps: what comes waits in the system, and is read together every so often.
 *
 * Whoever waits for a socket is woken for nearly each message, and the server that wakes it pays several times what the
 * message itself costs. A quarter of what a steady fleet costs, here and at the server, was that.
 */
export class Gathering {
  readonly #socket: () => Socket | undefined;
  readonly #bytesRead: () => number;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;
  #awaited = 0;
  #stopped = false;

  /**
   * @param socket of the connection as it is now; `undefined` while it is not connected
   * @param bytesRead from the connection so far
   * @param everyMs what comes waits for so long at most
   */
  constructor(socket: () => Socket | undefined, bytesRead: () => number, everyMs: number) {
    this.#socket = socket;
    this.#bytesRead = bytesRead;
    this.#everyMs = everyMs;
    this.#read();
  }

  /** An answer is waited for: what comes is read at once until it is there. */
  async awaiting<T>(work: () => Promise<T>): Promise<T> {
    this.#awaited++;
    this.#read();
    try {
      return await work();
    } finally {
      this.#awaited--;
      this.#read();
    }
  }

  /** Reads all as it comes, from now on. */
  stop(): void {
    this.#stopped = true;
    this.#read();
  }

  #read(): void {
    clearTimeout(this.#timer);
    this.#socket()?.resume();
    if (this.#isReading || this.#stopped || this.#awaited > 0) return;
    this.#isReading = true;
    this.#untilDry(this.#bytesRead());
  }

  /** Until a whole turn of the event loop has brought nothing: under load that never is, and then nothing waits. */
  #untilDry(bytesBefore: number): void {
    setImmediate(() =>
      setImmediate(() => {
        const bytes = this.#bytesRead();
        if (this.#awaited === 0 && !this.#stopped && bytes !== bytesBefore) {
          this.#untilDry(bytes);
          return;
        }
        this.#isReading = false;
        if (this.#awaited > 0 || this.#stopped) return;
        this.#socket()?.pause();
        this.#timer = setTimeout(() => this.#read(), this.#everyMs);
      }),
    );
  }
}
