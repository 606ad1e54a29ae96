/** A live screen: lines of coloured pieces, redrawn in place on the terminal's alternate screen. */
import type { WriteStream } from 'node:tty';

export const BOLD = '1';
export const REVERSE = '7';
export const DIM = '2';
export const RED = '31';
export const GREEN = '32';
export const YELLOW = '33';
export const CYAN = '36';

/** A part of a line. The colour is kept apart from the text, so that the text can be cut to a width. */
export type Piece = string | { text: string; colour: string };

export interface Size {
  columns: number;
  rows: number;
}

export const paint = (colour: string, text: string): Piece => ({ text, colour });

/** Each value padded to its width, followed by one blank; a width of 0 means neither. */
export function padCells(...cells: [value: string | number, width: number][]): string {
  return cells
    .map(([value, width]) => (width === 0 ? String(value) : `${String(value).padEnd(width)} `))
    .join('');
}

/** What is cut ends in these. */
const DOTS = '...';

/** The text padded or cut to the width; a width of 0 means neither. */
export function cell(text: string, width: number): string {
  return width === 0 ? text : cut(text, width).padEnd(width);
}

function cut(text: string, width: number): string {
  return text.length <= width
    ? text
    : `${text.slice(0, Math.max(0, width - DOTS.length))}${DOTS}`.slice(0, width);
}

/** The words of a text in lines that fit the columns; without columns in one. */
export function wrap(text: string, columns = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length < columns)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The words of a line of pieces in lines that fit the columns; those after the first are indented. */
export function wrapPieces(pieces: readonly Piece[], columns: number, indent: string): Piece[][] {
  const lines: Piece[][] = [[]];
  let width = 0;
  for (const piece of pieces) {
    const { text, colour } = typeof piece === 'string' ? { text: piece, colour: '' } : piece;
    for (const word of text.split(/(?<= )(?=[^ ])/)) {
      if (width > indent.length && width + word.trimEnd().length >= columns) {
        lines.push([indent]);
        width = indent.length;
      }
      lines.at(-1)?.push(colour === '' ? word : paint(colour, word));
      width += word.length;
    }
  }
  return lines;
}

export function blankLines(count: number): Piece[][] {
  return Array.from({ length: Math.max(0, count) }, () => []);
}

/** Cuts the lines to the terminal's rows and columns. */
export function fitLines(lines: readonly Piece[][], { columns, rows }: Size, colours = true): string[] {
  return lines.slice(0, rows).map((pieces) => fitLine(pieces, columns - 1, colours)); // the last column would wrap
}

function fitLine(pieces: readonly Piece[], columns: number, colours: boolean): string {
  // Control characters in a name must not reach the terminal.
  const clean = pieces.map((piece) => {
    const { text, colour } = typeof piece === 'string' ? { text: piece, colour: '' } : piece;
    return { text: text.replace(/\p{Cc}/gu, ' '), colour };
  });
  const width = clean.reduce((sum, { text }) => sum + text.length, 0);
  let left = width <= columns ? width : Math.max(0, columns - DOTS.length);
  let line = '';
  for (const { text, colour } of clean) {
    const shown = text.slice(0, left);
    left -= shown.length;
    line += colour === '' || !colours || shown === '' ? shown : `\x1b[${colour}m${shown}\x1b[0m`;
  }
  return width <= columns ? line : line + DOTS.slice(0, columns);
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

export interface Screen {
  draw(): void;
  /** Restores the terminal. */
  close(): void;
}

/**
 * Shows lines on the terminal's alternate screen until it is closed.
 *
 * @param everyMs the interval of redraws; default: drawn only by `draw()` and when the size changes
 */
export function openScreen(
  terminal: WriteStream,
  render: (size: Size) => string[],
  everyMs?: number,
): Screen {
  const draw = () => {
    const lines = render(terminal);
    terminal.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  };
  const close = () => {
    clearInterval(timer);
    terminal.off('resize', draw);
    process.off('exit', close);
    terminal.write(LEAVE);
  };
  terminal.write(ENTER);
  const timer = everyMs === undefined ? undefined : setInterval(draw, everyMs);
  terminal.on('resize', draw);
  // Restores the terminal after an uncaught error, too.
  process.on('exit', close);
  draw();
  return { draw, close };
}
