/** Writes log lines without ever blocking, throwing or ending the process. */
/** Something that takes bytes at once, or throws: EAGAIN when it cannot take any now. */
export interface Sink {
  /** @returns how many of the bytes it took */
  write(bytes: Uint8Array): number;
  /** Opens the file anew: after a rotation, or after a problem. */
  reopen?(): void;
}

/** Lines for a reader that does not read are kept up to this size. A burst of a large fleet is smaller. */
const MAX_PENDING_BYTES = 1 << 20;
/** How often pending lines are tried again. */
const RETRY_MS = 100;
/** How often it is checked whether lines can be written again, so that their number can be logged. */
const REPORT_EVERY_MS = 1_000;
const LINE_END = Buffer.from('\n');
/** How long the last lines of an ending process wait for a slow reader. */
const EXIT_WAIT_MS = 200;

/**
 * Writes lines synchronously, so that the last lines of a dying process are not lost.
 *
 * A reader that stalls takes no more bytes: lines wait in memory up to a bound, and are dropped beyond it. On any other
 * problem (a full disk, a closed pipe) the line is dropped. Dropped lines are counted, and reported when it is over.
 */
export class LineOutput {
  readonly #sink: Sink;
  readonly #maxPendingBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Whether the first pending line is the rest of one whose beginning is written. */
  #isFirstStarted = false;
  /** False after a line that was dropped when a part of it was written: the next one begins with a line end. */
  #isAtLineStart = true;
  #dropped = 0;
  #unreported = 0;
  #report: ((lines: number) => void) | undefined;
  #isReporting = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #reportTimer: NodeJS.Timeout | undefined;

  constructor(sink: Sink, { maxPendingBytes = MAX_PENDING_BYTES } = {}) {
    this.#sink = sink;
    this.#maxPendingBytes = maxPendingBytes;
  }

  /** Lines dropped since the start of the process. */
  get dropped(): number {
    return this.#dropped;
  }

  /** @param report logs how many lines were dropped; called when lines can be written again */
  onRecovered(report: (lines: number) => void): void {
    this.#report = report;
  }

  write(line: string): void {
    this.#flush();
    if (this.#pending.length > 0) this.#keep(Buffer.from(line));
    else if (this.#writeNow(Buffer.from(line)) === 'written' && this.#unreported > 0) this.#reportDropped();
  }

  /** Opens the file of this output anew (SIGHUP); does nothing for stdout. If that fails, the old file stays. */
  reopen(): void {
    this.#sink.reopen?.();
  }

  /** Gives a slow reader a last chance; called when the process exits. */
  flushAtExit(): void {
    const untilMs = performance.now() + EXIT_WAIT_MS;
    this.#flush();
    while (this.#pending.length > 0 && performance.now() < untilMs) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      this.#flush();
    }
  }

  #flush(): void {
    let isBlocked = false;
    while (this.#pending.length > 0 && !isBlocked) {
      const first = this.#pending.shift() as Buffer;
      this.#pendingBytes -= first.length;
      isBlocked = this.#writeNow(first, this.#isFirstStarted) === 'waits';
    }
  }

  /**
   * Writes what the sink takes. If the sink is only slow, the rest waits in front of the pending lines.
   *
   * @param isStarted the sink has taken the beginning of this line already
   */
  #writeNow(line: Buffer, isStarted = false): 'written' | 'waits' | 'dropped' {
    this.#isFirstStarted = false;
    let rest = this.#isAtLineStart || isStarted ? line : Buffer.concat([LINE_END, line]);
    try {
      while (rest.length > 0) {
        const taken = this.#sink.write(rest);
        if (taken > 0) this.#isAtLineStart = rest[taken - 1] === LINE_END[0];
        rest = rest.subarray(taken);
      }
      return 'written';
    } catch (error) {
      if (!isSlow(error)) {
        this.#drop();
        return 'dropped';
      }
      this.#pending.unshift(rest);
      this.#pendingBytes += rest.length;
      this.#isFirstStarted = !this.#isAtLineStart;
      this.#retrySoon();
      return 'waits';
    }
  }

  #keep(line: Buffer): void {
    if (this.#pendingBytes + line.length > this.#maxPendingBytes) {
      this.#drop();
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += line.length;
  }

  #drop(): void {
    this.#dropped++;
    this.#unreported++;
    if (this.#reportTimer !== undefined || this.#isReporting) return;
    this.#reportTimer = setInterval(() => {
      this.#flush();
      if (this.#pending.length === 0) this.#reportDropped();
    }, REPORT_EVERY_MS).unref();
  }

  #retrySoon(): void {
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#flush();
    }, RETRY_MS).unref();
  }

  /** The report is a line, too. If it is dropped, it is tried again later and is not counted. */
  #reportDropped(): void {
    if (this.#isReporting || this.#report === undefined) return;
    const [dropped, unreported] = [this.#dropped, this.#unreported];
    this.#isReporting = true;
    this.#unreported = 0;
    this.#report(unreported);
    this.#isReporting = false;
    if (this.#dropped === dropped) {
      clearInterval(this.#reportTimer);
      this.#reportTimer = undefined;
      return;
    }
    this.#dropped = dropped;
    this.#unreported = unreported;
  }
}

function isSlow(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EINTR' || code === 'EWOULDBLOCK';
}
