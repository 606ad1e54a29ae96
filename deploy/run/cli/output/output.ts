import { styleText } from 'node:util';
import type { Tone } from '../../../../common/explain/line.ts';

/** The one that writes now; a process has one standard output. */
let current: Output | undefined;

/** Stays for the life of the process: a pipe may be found broken long after the last write. */
function onError(error: NodeJS.ErrnoException): void {
  current?.failed(error);
}

/** Standard output of a command whose reader may go before the end (`hm dump | head`). */
export class Output {
  #gone = false;
  #failure: Error | undefined;

  constructor() {
    current = this;
    if (!process.stdout.listeners('error').includes(onError)) process.stdout.on('error', onError);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#gone = true;
    if (error.code !== 'EPIPE') this.#failure = error;
  }

  /**
   * Writes, and waits while the reader is slow.
   *
   * @returns false when nobody reads any more: what is left need not be written
   * @throws what went wrong with the output otherwise (a full disk)
   */
  async write(text: string): Promise<boolean> {
    if (!this.#gone && !process.stdout.write(text)) await this.#drained();
    if (this.#failure !== undefined) throw this.#failure;
    return !this.#gone;
  }

  line(text: string): Promise<boolean> {
    return this.write(`${text}\n`);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        process.stdout.off('drain', over);
        process.stdout.off('error', over);
        process.stdout.off('close', over);
        resolve();
      };
      process.stdout.on('drain', over);
      process.stdout.on('error', over);
      process.stdout.on('close', over);
    });
  }
}

/** On stderr, so that it is in nobody's way who reads the output. */
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

/** Only a terminal that wants them gets colours. */
export function usesColours(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** Paints on a terminal that wants it; elsewhere text stays text. */
export function painter(): (tone: keyof typeof COLOURS, text: string) => string {
  const colours = usesColours();
  return (tone, text) => {
    const colour = COLOURS[tone];
    return !colours || colour === undefined || text === '' ? text : styleText(colour, text);
  };
}
