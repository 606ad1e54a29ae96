/** The progress of a command, shown on the terminal through stderr so that it does not mix with the output. */

const WIDTH = 24;
const REDRAW_MS = 100;
const CLEAR = '\r\x1b[K';

/** The output of the progress. Nothing is shown unless it is a terminal. */
export interface Terminal {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export class Progress {
  readonly #terminal: Terminal | undefined;
  #shown = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal = process.stderr) {
    this.#terminal = terminal.isTTY === true && process.env.TERM !== 'dumb' ? terminal : undefined;
  }

  /** @param share 0 to 1, shown as a bar; default: no bar, and drawn at once */
  show(text: string, share?: number): void {
    const nowMs = performance.now();
    if (this.#terminal === undefined || (share !== undefined && nowMs - this.#lastMs < REDRAW_MS)) return;
    this.#lastMs = nowMs;
    this.#shown = true;
    const line = share === undefined ? text : `${barOf(share)} ${text}`;
    this.#terminal.write(`${CLEAR}${line.slice(0, (this.#terminal.columns ?? 80) - 1)}`);
  }

  /** Must be called before other output to the terminal, and at the end. */
  clear(): void {
    if (this.#shown) this.#terminal?.write(CLEAR);
    this.#shown = false;
  }
}

/** `[######------]  50%` */
function barOf(share: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * WIDTH);
  return `[${'#'.repeat(done)}${'-'.repeat(WIDTH - done)}] ${String(Math.floor(share * 100)).padStart(3)}%`;
}
