import { styleText } from 'node:util';
import type { Tone } from '../../../../common/explain/sentences/line.ts';

/** The output in use; a process has one standard output. */
let current: Output | undefined;

/** Never removed, because the error of a broken pipe may be emitted long after the last write. */
function onError(error: NodeJS.ErrnoException): void {
  current?.onError(error);
}

/** The standard output of a command. Its reader may close it before the end (`hm dump | head`). */
export class Output {
  #closed = false;
  #failure: Error | undefined;

  constructor() {
    current = this;
    if (!process.stdout.listeners('error').includes(onError)) process.stdout.on('error', onError);
  }

  onError(error: NodeJS.ErrnoException): void {
    this.#closed = true;
    if (error.code !== 'EPIPE') this.#failure = error;
  }

  /**
   * Writes the text and waits while the reader is slow.
   *
   * @returns false when the reader has closed the output
   * @throws Error after another failure of the output (a full disk)
   */
  async write(text: string): Promise<boolean> {
    if (!this.#closed && !process.stdout.write(text)) await this.#drained();
    if (this.#failure !== undefined) throw this.#failure;
    return !this.#closed;
  }

  line(text: string): Promise<boolean> {
    return this.write(`${text}\n`);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        process.stdout.off('drain', done);
        process.stdout.off('error', done);
        process.stdout.off('close', done);
        resolve();
      };
      process.stdout.on('drain', done);
      process.stdout.on('error', done);
      process.stdout.on('close', done);
    });
  }
}

/** Writes to stderr, so that it does not mix with the output. */
export function note(text: string): void {
  process.stderr.write(`hm: ${text}\n`);
}

const COLOURS: Readonly<Record<Tone | 'dim' | 'bold', Parameters<typeof styleText>[0] | undefined>> = {
  trouble: 'red',
  action: 'cyan',
  good: 'green',
  plain: undefined,
  dim: 'dim',
  bold: 'bold',
};

/** Colours are for terminals, unless NO_COLOR is set. */
export function usesColours(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** Colours text when the output is a terminal with colours, else returns it unchanged. */
export function painter(): (tone: keyof typeof COLOURS, text: string) => string {
  const colours = usesColours();
  return (tone, text) => {
    const colour = COLOURS[tone];
    return !colours || colour === undefined || text === '' ? text : styleText(colour, text);
  };
}
